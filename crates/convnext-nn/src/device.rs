//! From the name of a device to the device.
//!
//! The CPU runs the kernels and is always available. GPUs run the reference implementations of
//! [`crate::ops`]; each kind is compiled in by the cargo feature of its name.

use std::str::FromStr;

use burn::prelude::*;
#[cfg(any(feature = "wgpu", feature = "cuda"))]
use burn::tensor::DeviceType;

use crate::device_name::DeviceName;
use crate::error::ModelError;

impl DeviceName {
    /// The device of this name.
    ///
    /// # Errors
    /// [`ModelError::DeviceNotBuilt`] when this kind of device was not compiled in, and
    /// [`ModelError::NoDevice`] when this machine does not have it.
    pub fn open(self) -> Result<Device, ModelError> {
        self.check_built()?;
        match self {
            Self::Cpu => Ok(Device::flex()),
            #[cfg(feature = "wgpu")]
            Self::Wgpu(number) => {
                let found = Device::enumerate(DeviceType::Wgpu).into_vec();
                // The driver's interface chooses the best adapter.
                self.choose(found, number, Device::wgpu(DeviceKind::DefaultDevice))
            }
            #[cfg(feature = "cuda")]
            Self::Cuda(number) => {
                let found = Device::enumerate(DeviceType::Cuda).into_vec();
                self.choose(found, number, Device::cuda(0))
            }
            #[cfg(not(all(feature = "wgpu", feature = "cuda")))]
            other => Err(ModelError::NoDevice { device: other, found: 0 }),
        }
    }

    /// The device at index `number`, or `usual` without an index.
    #[cfg(any(feature = "wgpu", feature = "cuda"))]
    fn choose(
        self,
        mut found: Vec<Device>,
        number: Option<usize>,
        usual: Device,
    ) -> Result<Device, ModelError> {
        match number {
            None if !found.is_empty() => Ok(usual),
            Some(number) if number < found.len() => Ok(found.swap_remove(number)),
            _ => Err(ModelError::NoDevice { device: self, found: found.len() }),
        }
    }

    fn check_built(self) -> Result<(), ModelError> {
        let (feature, is_built) = match self {
            Self::Cpu => return Ok(()),
            Self::Wgpu(_) => ("wgpu", cfg!(feature = "wgpu")),
            Self::Cuda(_) => ("cuda", cfg!(feature = "cuda")),
        };
        if is_built { Ok(()) } else { Err(ModelError::DeviceNotBuilt { feature }) }
    }
}

impl FromStr for DeviceName {
    type Err = ModelError;

    /// # Errors
    /// [`ModelError::UnknownDevice`] for another name, and [`ModelError::DeviceNotBuilt`].
    fn from_str(text: &str) -> Result<Self, ModelError> {
        let unknown = || ModelError::UnknownDevice { name: text.to_owned() };
        let (kind, number) = match text.split_once(':') {
            None => (text, None),
            Some((kind, number)) => (kind, Some(number.parse().map_err(|_| unknown())?)),
        };
        let name = match (kind, number) {
            ("cpu", None) => Self::Cpu,
            ("wgpu", number) => Self::Wgpu(number),
            ("cuda", number) => Self::Cuda(number),
            _ => return Err(unknown()),
        };
        name.check_built()?;
        Ok(name)
    }
}

/// `true` for the CPU, which runs the kernels, with gradient tracking or without.
pub fn is_cpu(device: &Device) -> bool {
    *device == Device::flex()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_is_always_there() {
        assert_eq!("cpu".parse(), Ok(DeviceName::default()));
        let device = DeviceName::Cpu.open().unwrap();
        assert!(is_cpu(&device) && is_cpu(&device.autodiff()));
    }

    #[test]
    fn unknown_names_are_refused_with_the_known_ones() {
        for name in ["gpu", "", "cpu:0", "wgpu:", "wgpu:-1", "wgpu:x", "wgpu:0:1", "Cuda"] {
            let error = name.parse::<DeviceName>().unwrap_err();
            assert_eq!(error, ModelError::UnknownDevice { name: name.to_owned() });
            assert!(error.to_string().contains("wgpu:N"), "{error}");
        }
    }

    #[test]
    fn what_is_not_compiled_in_says_with_which_feature_to_build() {
        for (device, feature, is_built) in [
            (DeviceName::Wgpu(Some(1)), "wgpu", cfg!(feature = "wgpu")),
            (DeviceName::Cuda(Some(1)), "cuda", cfg!(feature = "cuda")),
        ] {
            let parsed = device.to_string().parse::<DeviceName>();
            if is_built {
                assert_eq!(parsed, Ok(device));
                continue;
            }
            let error = ModelError::DeviceNotBuilt { feature };
            assert_eq!(parsed, Err(error.clone()));
            assert_eq!(device.open().unwrap_err(), error);
            assert!(error.to_string().contains(&format!("--features {feature}")), "{error}");
        }
    }

    #[cfg(feature = "wgpu")]
    #[test]
    fn a_device_that_does_not_exist_is_an_error() {
        let error = DeviceName::Wgpu(Some(99)).open().unwrap_err().to_string();
        assert!(error.contains("wgpu:99"), "{error}");
    }
}
