//! The command line of convnext.

fn main() {}
