//! The names that a pickle may ask for, and those that it must not even mention.

use safetensors::Dtype;

/// A thing of Python. None is ever called: each only tells what its arguments make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Global {
    /// `torch._utils._rebuild_tensor_v2` and its forerunner: a tensor over a storage.
    Tensor,
    /// `torch._utils._rebuild_parameter`, with attributes or without: a tensor that is trained.
    Parameter,
    /// `torch._tensor._rebuild_from_type_v2`: what its first argument makes of its third.
    OfType,
    /// `torch.FloatStorage` and others: the type of a storage.
    Storage(Dtype),
    /// `collections.OrderedDict` and `defaultdict`.
    Dict,
    /// `argparse.Namespace`, `numpy.dtype`, numpy's scalars and the bytes in them: of no use here.
    Ignored,
    /// Any other name, by its number among those of the pickle: what it makes is passed over.
    Unknown(u32),
}

/// Meaning of a global name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is known what its arguments make.
    Known(Global),
    /// A class or function of whatever package; nothing is known of it, and nothing of it is run.
    Unknown,
    /// No data is made of it, only harm: the file is refused although nothing would be run.
    Forbidden,
}

/// Modules that reach out of Python, with all that is in them.
const FORBIDDEN_MODULES: [&str; 14] = [
    "os",
    "posix",
    "nt",
    "subprocess",
    "pty",
    "socket",
    "shutil",
    "runpy",
    "importlib",
    "ctypes",
    "webbrowser",
    "commands",
    "code",
    "pip",
];

/// Functions of Python itself that run text or reach files. `getattr` is not among them: enumerations ask for it.
const FORBIDDEN_FUNCTIONS: [&str; 9] =
    ["eval", "exec", "execfile", "compile", "open", "__import__", "apply", "input", "breakpoint"];

/// Looks up the meaning of a global name.
pub(super) fn find(module: &str, name: &str) -> Standing {
    let package = module.split('.').next().unwrap_or_default();
    let is_function = matches!(module, "builtins" | "__builtin__") && FORBIDDEN_FUNCTIONS.contains(&name);
    if is_function || FORBIDDEN_MODULES.contains(&package) {
        return Standing::Forbidden;
    }
    known(module, name).map_or(Standing::Unknown, Standing::Known)
}

fn known(module: &str, name: &str) -> Option<Global> {
    let global = match (module, name) {
        ("torch._utils", "_rebuild_tensor_v2" | "_rebuild_tensor") => Global::Tensor,
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => Global::Parameter,
        ("torch._tensor", "_rebuild_from_type_v2") => Global::OfType,
        ("collections", "OrderedDict" | "defaultdict") => Global::Dict,
        ("argparse", "Namespace")
        | ("numpy", "dtype")
        | ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar")
        | ("_codecs", "encode") => Global::Ignored,
        ("torch.storage", "UntypedStorage") => Global::Storage(Dtype::U8),
        // Those of tensors on a card had a module of their own until PyTorch 1.10.
        ("torch" | "torch.cuda", name) => Global::Storage(storage(name)?),
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
