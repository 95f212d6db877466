//! Names of devices.

use std::fmt;

/// A device by its name: `cpu`, `wgpu`, `wgpu:1`, `cuda`, `cuda:1`.
///
/// ```
/// use convnext_nn::DeviceName;
///
/// let name: DeviceName = "cpu".parse()?;
/// assert_eq!(name, DeviceName::Cpu);
/// let device = name.open()?;
/// # Ok::<(), convnext_nn::ModelError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DeviceName {
    /// The CPU, with our kernels.
    #[default]
    Cpu,
    /// A GPU through Vulkan, Metal or DirectX 12, by index; the best one without an index.
    Wgpu(Option<usize>),
    /// A GPU through CUDA, by index; the first one without an index.
    Cuda(Option<usize>),
}

impl fmt::Display for DeviceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, number) = match self {
            Self::Cpu => ("cpu", None),
            Self::Wgpu(number) => ("wgpu", *number),
            Self::Cuda(number) => ("cuda", *number),
        };
        formatter.write_str(kind)?;
        number.map_or(Ok(()), |number| write!(formatter, ":{number}"))
    }
}
