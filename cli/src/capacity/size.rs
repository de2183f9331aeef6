//! Sizes as they are said on the command line.

/// In the largest first, as Kubernetes and `jetlag.yaml` write them.
const UNITS: [(&str, u64); 4] = [("Ti", 1 << 40), ("Gi", 1 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)];

/// A number of bytes such as `512Mi` or `8Gi`.
///
/// # Errors
/// It is none.
pub fn bytes(text: &str) -> Result<u64, String> {
    let size = UNITS.iter().find_map(|(unit, factor)| {
        let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(*factor).filter(|bytes| *bytes > 0)
    });
    size.ok_or_else(|| format!("`{text}` is no size such as 512Mi or 8Gi"))
}

/// The smallest whole number of the largest unit that holds `bytes`, as it is written into `jetlag.yaml`.
pub(crate) fn enough(bytes: u64) -> String {
    let unit = UNITS.iter().find(|(_, factor)| bytes >= factor.saturating_mul(4));
    let (unit, factor) = unit.copied().unwrap_or(("Ki", 1 << 10));
    format!("{}{unit}", bytes.div_ceil(factor).max(1))
}
