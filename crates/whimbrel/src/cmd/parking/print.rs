//! Parked messages as lines.

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;

/// Characters of a preview and of a reason.
const PREVIEW_MAX: usize = 40;
const REASON_MAX: usize = 80;

/// As a table, or as one JSON object a line.
pub(super) fn list(messages: &[Value], more: bool, json: bool) {
    if json {
        for message in messages {
            println!("{message}");
        }
        return;
    }
    if messages.is_empty() {
        println!("nothing of the kind is parked");
        return;
    }
    println!("{}", table(messages));
    if more {
        println!("there are more: narrow down with --source and --reason, or deal with these first");
    }
}

fn table(messages: &[Value]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["ID", "FROM", "SINCE", "BYTES", "REASON", "BEGINS WITH"]);
    table.add_rows(messages.iter().map(row));
    table
}

fn row(message: &Value) -> [String; 6] {
    let text = |field: &str, most: usize| {
        let text = message[field].as_str().unwrap_or("-");
        text.chars().map(|char| if char.is_control() { ' ' } else { char }).take(most).collect::<String>()
    };
    [
        text("id", usize::MAX),
        text("source", usize::MAX),
        text("parked_at", usize::MAX),
        message["size"].to_string(),
        text("reason", REASON_MAX),
        text("preview", PREVIEW_MAX),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_row_is_one_line_whatever_the_message_holds() {
        let message = json!({"id": "prk_1", "source": null, "parked_at": "2026-01-15T12:00:00Z", "size": 7,
            "reason": "malformed: no", "preview": "{\n\t\"a\": 1}"});
        let text = table(&[message]).to_string();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("malformed: no") && text.contains("{  \"a\": 1}"), "{text}");
    }
}
