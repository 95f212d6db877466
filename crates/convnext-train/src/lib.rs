//! Recipes, schedules, optimiser and the training loop of ConvNeXt V2 and FCMAE.
