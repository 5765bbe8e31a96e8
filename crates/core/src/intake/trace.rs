//! The publisher's trace, as W3C Trace Context writes it.

use crate::event::TraceContext;

/// A longer `tracestate` is dropped, as the specification allows.
const TRACESTATE_BYTES_MAX: usize = 512;

/// The trace that these two texts name; none when `traceparent` is empty or malformed.
pub fn trace_context(traceparent: &str, tracestate: &str) -> TraceContext {
    if !is_traceparent(traceparent) {
        return TraceContext::default();
    }
    let usable = tracestate.len() <= TRACESTATE_BYTES_MAX && tracestate.bytes().all(|b| (b' '..=b'~').contains(&b));
    let tracestate = if usable { tracestate } else { "" };
    TraceContext { traceparent: traceparent.to_owned(), tracestate: tracestate.to_owned() }
}

/// `00-` 32 hex digits `-` 16 hex digits `-` 2 hex digits, neither id all zeros.
fn is_traceparent(text: &str) -> bool {
    let hex = |part: &str, length| part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let set = |part: &str| part.bytes().any(|b| b != b'0');
    match text.split('-').collect::<Vec<_>>().as_slice() {
        ["00", trace, span, flags] => hex(trace, 32) && hex(span, 16) && hex(flags, 2) && set(trace) && set(span),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn only_the_specified_form_counts() {
        assert_eq!(trace_context(GOOD, "a=b").tracestate, "a=b");
        for text in [
            "",
            "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ] {
            assert_eq!(trace_context(text, "a=b"), TraceContext::default(), "{text}");
        }
    }

    #[test]
    fn an_unusable_tracestate_is_dropped_and_the_trace_kept() {
        for state in ["a=\n", &"a".repeat(513)] {
            let trace = trace_context(GOOD, state);
            assert_eq!((trace.traceparent.as_str(), trace.tracestate.as_str()), (GOOD, ""));
        }
    }
}
