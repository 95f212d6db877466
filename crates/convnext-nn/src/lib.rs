//! ConvNeXt V1 and V2 and the FCMAE masked autoencoder on the Burn framework.
