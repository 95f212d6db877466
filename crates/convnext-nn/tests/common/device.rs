//! The device of the models' tests.

// Each test includes this file as a module; see `golden.rs`.
#![allow(dead_code, unreachable_pub, clippy::panic)]

use burn::tensor::Device;
use convnext_nn::DeviceName;

/// The environment variable with the device of the tests, such as `wgpu`; the CPU if it is not set.
const VARIABLE: &str = "CONVNEXT_TEST_DEVICE";

/// The device of the tests.
pub fn test_device() -> Device {
    let name = std::env::var(VARIABLE).unwrap_or_else(|_| DeviceName::Cpu.to_string());
    let device = name.parse().and_then(DeviceName::open);
    device.unwrap_or_else(|error| panic!("{VARIABLE}: {error}"))
}
