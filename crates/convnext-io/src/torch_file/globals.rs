//! The names that a pickle may ask for (DESIGN.md, rules for users). Everything else is refused.

use safetensors::Dtype;

/// A thing of Python that is allowed. None is ever called: each only tells what its arguments make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Global {
    /// `torch._utils._rebuild_tensor_v2`: a tensor over a storage.
    Tensor,
    /// `torch._utils._rebuild_parameter`: a tensor that is trained.
    Parameter,
    /// `torch.FloatStorage` and others: the type of a storage.
    Storage(Dtype),
    /// `collections.OrderedDict`.
    OrderedDict,
    /// `argparse.Namespace`, `numpy.dtype`, numpy's scalars and the bytes in them: of no use here.
    Ignored,
}

/// The allowed thing of this name.
pub(super) fn find(module: &str, name: &str) -> Option<Global> {
    let global = match (module, name) {
        ("torch._utils", "_rebuild_tensor_v2") => Global::Tensor,
        ("torch._utils", "_rebuild_parameter") => Global::Parameter,
        ("collections", "OrderedDict") => Global::OrderedDict,
        ("argparse", "Namespace")
        | ("numpy", "dtype")
        | ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar")
        | ("_codecs", "encode") => Global::Ignored,
        ("torch.storage", "UntypedStorage") => Global::Storage(Dtype::U8),
        ("torch", name) => Global::Storage(storage(name)?),
        _ => return None,
    };
    Some(global)
}

fn storage(name: &str) -> Option<Dtype> {
    let dtype = match name {
        "DoubleStorage" => Dtype::F64,
        "FloatStorage" => Dtype::F32,
        "HalfStorage" => Dtype::F16,
        "BFloat16Storage" => Dtype::BF16,
        "LongStorage" => Dtype::I64,
        "IntStorage" => Dtype::I32,
        "ShortStorage" => Dtype::I16,
        "CharStorage" => Dtype::I8,
        "ByteStorage" => Dtype::U8,
        "BoolStorage" => Dtype::BOOL,
        _ => return None,
    };
    Some(dtype)
}
