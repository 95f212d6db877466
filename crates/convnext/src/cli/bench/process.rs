//! Memory of this process, as Linux tells it.

/// The largest resident size of this process.
pub(super) fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(1024 * line.split_whitespace().next()?.parse::<u64>().ok()?)
}

/// Page faults of this process so far, minor and major; `None` outside of Linux.
pub(super) fn page_faults() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/stat").ok()?;
    // After the name in brackets, which may hold anything, minor faults are the eighth value and major ones the tenth.
    let (_, values) = status.rsplit_once(')')?;
    let mut values = values.split_whitespace().skip(7).step_by(2).map(str::parse::<f64>);
    Some(values.next()?.ok()? + values.next()?.ok()?)
}
