//! W3C trace context, as text between processes and as ids within one.

use std::str::FromStr;

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use whimbrel_core::event::TraceContext;

/// The flags that are passed on: sampled, and whether the trace id is random.
const KNOWN_FLAGS: u8 = 0b11;

/// The span that the text names; `None` when it is empty or malformed.
pub(crate) fn parse(trace: &TraceContext) -> Option<SpanContext> {
    let mut parts = trace.traceparent.split('-');
    let (version, trace_id, span_id, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    if (version, trace_id.len(), span_id.len(), flags.len()) != ("00", 32, 16, 2) || parts.next().is_some() {
        return None;
    }
    let state = match trace.tracestate.as_str() {
        "" => TraceState::NONE,
        // What vendors wrote is theirs to get right: without it the trace goes on all the same.
        text => TraceState::from_str(text).unwrap_or_default(),
    };
    let context = SpanContext::new(
        TraceId::from_hex(trace_id).ok()?,
        SpanId::from_hex(span_id).ok()?,
        TraceFlags::new(u8::from_str_radix(flags, 16).ok()? & KNOWN_FLAGS),
        true,
        state,
    );
    context.is_valid().then_some(context)
}

/// The reverse of [`parse`].
pub(crate) fn format(context: &SpanContext) -> TraceContext {
    let flags = context.trace_flags().to_u8();
    TraceContext {
        traceparent: format!("00-{}-{}-{flags:02x}", context.trace_id(), context.span_id()),
        tracestate: context.trace_state().header(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(traceparent: &str, tracestate: &str) -> TraceContext {
        TraceContext { traceparent: traceparent.to_owned(), tracestate: tracestate.to_owned() }
    }

    #[test]
    fn text_is_read_and_written_back_as_it_was() {
        let trace = text("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "vendor=1,other=2");
        let context = parse(&trace).expect("it names a span");
        assert!(context.is_sampled() && context.is_remote());
        assert_eq!(format(&context), trace);
    }

    #[test]
    fn what_names_no_span_is_none() {
        let malformed = [
            "",
            "00-1-1-01",
            "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c8031xx-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-00",
        ];
        for traceparent in malformed {
            assert_eq!(parse(&text(traceparent, "")), None, "{traceparent}");
        }
    }

    #[test]
    fn a_malformed_tracestate_does_not_cost_the_trace() {
        let trace = text("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", "no state");
        let context = parse(&trace).expect("it names a span");
        assert!(!context.is_sampled());
        assert_eq!(format(&context).tracestate, "");
    }
}
