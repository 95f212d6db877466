//! ConvNeXt V2 and FCMAE as one program and one library: pre-train, fine-tune, evaluate, classify and reconstruct images on a CPU.
