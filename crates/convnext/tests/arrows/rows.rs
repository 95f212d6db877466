//! The table of arrows between crates, and of packages from outside that stay in some crates.

/// What a crate may use of the workspace, in `[dependencies]` and in `[dev-dependencies]` alike.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) uses: &'static [&'static str],
    /// What its tests may use beyond that; each entry needs a reason beside it.
    pub(crate) tests_also_use: &'static [&'static str],
}

pub(crate) const fn row(name: &'static str, uses: &'static [&'static str]) -> Row {
    Row { name, uses, tests_also_use: &[] }
}

/// A task, whose tests run shared evaluations on ranks that are threads; the task itself knows ranks from `convnext-train`.
const fn task(name: &'static str, uses: &'static [&'static str]) -> Row {
    Row { name, uses, tests_also_use: &["convnext-distributed"] }
}

/// What the crates of dense tasks use.
const DENSE_TASK: &[&str] =
    &["convnext-core", "convnext-nn", "convnext-data", "convnext-io", "convnext-onnx", "convnext-train"];

pub(crate) const ROWS: [Row; 15] = [
    row("convnext-core", &[]),
    row("convnext-analysis", &[]),
    row("convnext-distributed", &[]),
    row("convnext-kernels", &[]),
    row("convnext-nn", &["convnext-core", "convnext-kernels"]),
    row("convnext-data", &["convnext-core"]),
    row("convnext-io", &["convnext-core"]),
    row("convnext-hub", &["convnext-core", "convnext-io"]),
    row("convnext-onnx", &["convnext-core", "convnext-io"]),
    row(
        "convnext-train",
        &[
            "convnext-core",
            "convnext-analysis",
            "convnext-distributed",
            "convnext-nn",
            "convnext-data",
            "convnext-io",
        ],
    ),
    row("convnext-study", &["convnext-core", "convnext-data", "convnext-io", "convnext-train"]),
    task("convnext-multilabel", &["convnext-core", "convnext-nn", "convnext-data", "convnext-train"]),
    task("convnext-segment", DENSE_TASK),
    task("convnext-detect", DENSE_TASK),
    row(
        "convnext",
        &[
            "convnext-core",
            "convnext-analysis",
            "convnext-distributed",
            "convnext-kernels",
            "convnext-nn",
            "convnext-data",
            "convnext-io",
            "convnext-hub",
            "convnext-onnx",
            "convnext-train",
            "convnext-multilabel",
            "convnext-segment",
            "convnext-detect",
            "convnext-study",
        ],
    ),
];

/// Packages from outside, with all whose names go on after a `-` or `_`, and the crates that may use them.
pub(crate) const RESERVED: [(&str, &[&str]); 4] = [
    (
        "burn",
        &[
            "convnext-nn",
            "convnext-train",
            "convnext-multilabel",
            "convnext-segment",
            "convnext-detect",
            "convnext",
        ],
    ),
    ("anyhow", &["convnext"]),
    ("clap", &["convnext"]),
    ("indicatif", &["convnext"]),
];
