use std::sync::{Arc, Mutex};

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use whimbrel_core::port::SystemClock;

use super::*;

const SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

/// Remembers what it was given.
#[derive(Debug, Clone, Default)]
struct Exported(Arc<Mutex<Vec<SpanData>>>);

impl SpanExporter for Exported {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.0.lock().expect("never poisoned").extend(batch);
        Ok(())
    }
}

/// With the SDK's default sampler: as the parent has it, and every root.
fn pipeline() -> (Pipeline, Exported) {
    let exported = Exported::default();
    (Pipeline::new(exported.clone(), &Resource::builder_empty().build(), "test"), exported)
}

fn text(traceparent: &str) -> TraceContext {
    TraceContext { traceparent: traceparent.to_owned(), tracestate: String::new() }
}

fn span(pipeline: &Pipeline, parent: &str, may_be_root: bool) -> Span {
    Span::begin(pipeline, context::parse(&text(parent)), may_be_root, &SystemClock)
}

#[test]
fn a_process_that_exports_nothing_has_no_spans() {
    assert!(Span::entering(&text(SAMPLED), &SystemClock).is_none());
    assert!(Span::within(&text(SAMPLED), &SystemClock).is_none());
}

#[test]
fn a_sampled_trace_goes_on_under_the_spans_own_id() {
    let (pipeline, _) = pipeline();
    let span = span(&pipeline, SAMPLED, false);
    let onward = span.onward().expect("its own context");
    assert!(span.is_written());
    assert!(onward.traceparent.starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
    assert!(onward.traceparent.ends_with("-01"));
    assert_ne!(onward.traceparent, SAMPLED);
}

#[test]
fn an_unsampled_trace_goes_on_as_it_came() {
    let (pipeline, _) = pipeline();
    let span = span(&pipeline, UNSAMPLED, true);
    assert!(!span.is_written());
    assert_eq!(span.onward(), None);
}

#[test]
fn only_where_events_enter_a_trace_begins() {
    let (pipeline, _) = pipeline();
    assert!(span(&pipeline, "", true).is_written());
    assert!(!span(&pipeline, "", false).is_written());
}

#[test]
fn a_failure_is_kept_under_the_ids_that_others_were_told() {
    let (pipeline, _) = pipeline();
    let mut span = span(&pipeline, UNSAMPLED, false);
    let told = span.context();
    span.keep();
    assert!(span.is_written());
    assert_eq!(told.traceparent.strip_suffix("-00"), span.context().traceparent.strip_suffix("-01"));
    assert!(told.traceparent.ends_with("-00"));
}

#[test]
fn what_follows_a_written_attempt_is_written_and_links_to_it() {
    let (pipeline, _) = pipeline();
    let mut after_written = span(&pipeline, UNSAMPLED, false);
    after_written.follow(&text(SAMPLED));
    let mut after_unwritten = span(&pipeline, UNSAMPLED, false);
    after_unwritten.follow(&text(UNSAMPLED));
    assert!(after_written.is_written() && !after_unwritten.is_written());
    assert_eq!((after_written.links.len(), after_unwritten.links.len()), (1, 1));
}

#[test]
fn a_written_span_is_exported_whole() {
    let (pipeline, exported) = pipeline();
    let mut written = span(&pipeline, SAMPLED, false);
    written.follow(&text(UNSAMPLED));
    let id = written.context.span_id();
    let record = Record {
        scope: "part",
        name: "step".into(),
        kind: SpanKind::Client,
        started: Timestamp::from_micros(1_500_000),
        ended: Timestamp::from_micros(2_500_000),
        attributes: vec![KeyValue::new("a", 1)],
        error: Some("it failed".to_owned()),
    };
    pipeline.write(written, record);
    pipeline.shutdown();
    let exported = exported.0.lock().expect("never poisoned");
    let [data] = exported.as_slice() else { panic!("{exported:?}") };
    assert_eq!((data.span_context.span_id(), data.parent_span_is_remote), (id, true));
    assert_eq!(data.parent_span_id, context::parse(&text(SAMPLED)).expect("a span").span_id());
    assert_eq!(data.end_time.duration_since(data.start_time).ok(), Some(Duration::from_secs(1)));
    assert_eq!((data.links.len(), data.attributes.len()), (1, 1));
    assert_eq!(data.status, opentelemetry::trace::Status::error("it failed"));
    assert_eq!(data.instrumentation_scope.name(), "part");
}
