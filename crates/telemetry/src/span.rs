//! Spans. One is written when it is over, and until then it is two ids and a decision: so whoever finds out at the end
//! that something failed can still have it written, and what is not written costs next to nothing.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::KeyValue;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, TraceFlags, TraceId, TraceState};
use whimbrel_core::Timestamp;
use whimbrel_core::event::TraceContext;
use whimbrel_core::port::Clock;

use crate::context;
use crate::pipeline::{self, Pipeline};

/// A step of an event's way that is under way. There are none in a process that exports no spans.
#[derive(Debug, Clone)]
pub struct Span {
    pub(crate) parent: Option<SpanContext>,
    pub(crate) context: SpanContext,
    pub(crate) links: Vec<SpanContext>,
}

/// What is known of a span when it is over.
#[derive(Debug)]
pub struct Record {
    /// Which part of Whimbrel: the instrumentation scope.
    pub scope: &'static str,
    /// The name, of which there are only a few.
    pub name: Cow<'static, str>,
    /// Its side of the conversation.
    pub kind: SpanKind,
    /// When it began.
    pub started: Timestamp,
    /// When it was over.
    pub ended: Timestamp,
    /// Names as in OpenTelemetry's conventions; Whimbrel's own begin with `whimbrel.`.
    pub attributes: Vec<KeyValue>,
    /// What went wrong, in words.
    pub error: Option<String>,
}

impl Span {
    /// Where events enter Whimbrel: goes on with the caller's trace, or begins one when the sampler wants it.
    pub fn entering(from: &TraceContext, clock: &dyn Clock) -> Option<Self> {
        Some(Self::begin(pipeline::get()?, context::parse(from), true, clock))
    }

    /// Further inside: goes on with a trace. Without one, only a failure is written, as a trace of its own.
    pub fn within(from: &TraceContext, clock: &dyn Clock) -> Option<Self> {
        Some(Self::begin(pipeline::get()?, context::parse(from), false, clock))
    }

    pub(crate) fn begin(
        pipeline: &Pipeline,
        parent: Option<SpanContext>,
        may_be_root: bool,
        clock: &dyn Clock,
    ) -> Self {
        let mut random = [0; 24];
        clock.fill(&mut random);
        let (trace, span) = random.split_at(16);
        let trace_id = match &parent {
            Some(parent) => parent.trace_id(),
            None => TraceId::from_bytes(trace.try_into().expect("16 of 24 bytes")),
        };
        let span_id = SpanId::from_bytes(span.try_into().expect("8 of 24 bytes"));
        let sampled = (parent.is_some() || may_be_root) && pipeline.samples(parent.as_ref(), trace_id);
        let flags = parent.as_ref().map_or(TraceFlags::default(), SpanContext::trace_flags).with_sampled(sampled);
        let state = parent.as_ref().map_or(TraceState::NONE, |parent| parent.trace_state().clone());
        let context = SpanContext::new(trace_id, span_id, flags, false, state);
        Self { parent, context, links: Vec::new() }
    }

    /// Whether it will be written. Names and attributes are worth gathering only then.
    pub fn is_written(&self) -> bool {
        self.context.is_sampled()
    }

    /// Has it written, whatever the sampler said.
    pub fn keep(&mut self) {
        let context = &self.context;
        self.context = SpanContext::new(
            context.trace_id(),
            context.span_id(),
            context.trace_flags().with_sampled(true),
            false,
            context.trace_state().clone(),
        );
    }

    /// Links it to the attempt before it. Where that one was written, this one is: so one sees how it went on.
    pub fn follow(&mut self, earlier: &TraceContext) {
        let Some(earlier) = context::parse(earlier) else { return };
        if earlier.is_sampled() {
            self.keep();
        }
        self.links.push(earlier);
    }

    /// As `traceparent` and `tracestate`.
    pub fn context(&self) -> TraceContext {
        context::format(&self.context)
    }

    /// What travels on in place of what came. `None` where that travels on as it is: when nothing is written of this
    /// step, and nobody was told otherwise.
    pub fn onward(&self) -> Option<TraceContext> {
        let was_sampled = self.parent.as_ref().is_some_and(SpanContext::is_sampled);
        (self.is_written() || was_sampled).then(|| self.context())
    }

    /// Writes it, if [`Span::is_written`]. Does not wait: what the exporter has no room for is dropped.
    pub fn end(self, record: Record) {
        if let Some(pipeline) = pipeline::get().filter(|_| self.is_written()) {
            pipeline.write(self, record);
        }
    }
}

pub(crate) fn system_time(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(u64::try_from(at.as_micros()).unwrap_or(0))
}

#[cfg(test)]
#[path = "span_tests.rs"]
mod tests;
