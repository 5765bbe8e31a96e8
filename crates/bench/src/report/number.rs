//! Figures as people read them.

/// Three digits that count, at most one after the point where there are enough before it.
pub(super) fn short(value: f64) -> String {
    match value.abs() {
        size if size >= 100.0 => grouped(value),
        size if size >= 10.0 => format!("{value:.1}"),
        0.0 => "0".into(),
        _ => format!("{value:.2}"),
    }
}

/// A whole number with its thousands apart.
fn grouped(value: f64) -> String {
    let digits = format!("{value:.0}");
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |digits| ("-", digits));
    let mut text = String::from(sign);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::short;

    #[test]
    fn figures_are_short() {
        let shown: Vec<String> = [0.0, 0.123, 12.34, 123.4, 1_234_567.8, -4321.0].into_iter().map(short).collect();
        assert_eq!(shown, ["0", "0.12", "12.3", "123", "1,234,568", "-4,321"]);
    }
}
