//! The log: lines of text for people, or of JSON for programs, on the standard output.
//!
//! On a terminal Loco's own format is used, with colours. Anywhere else each line is built here, in the same format:
//! `tracing-subscriber` takes 28,000 instructions for a request's line, and parses the JSON of its spans again.

use std::{
    fmt::{Debug, Write as _},
    io::{self, IsTerminal, Write},
};

use chrono::Utc;
use loco_rs::{
    Result, config,
    logger::{self, Format, init_env_filter, init_layer},
};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt},
    registry::{LookupSpan, Scope, SpanRef},
    util::SubscriberInitExt,
};

use crate::{app::App, models::types::rfc3339};

/// Starts the log as the configuration says.
///
/// # Errors
/// When the configuration asks for log files, and they cannot be opened.
pub fn start(settings: &config::Logger) -> Result<()> {
    let files = settings.file_appender.as_ref();
    if !settings.enable || files.is_some_and(|files| files.enable) {
        // Loco does this: no log at all, or one that also goes to files.
        return logger::init::<App>(settings);
    }
    let terminal = io::stdout().is_terminal();
    let lines = match settings.format {
        Format::Compact if !terminal => Lines { json: false }.boxed(),
        Format::Json => Lines { json: true }.boxed(),
        _ => init_layer(io::stdout, &settings.format, terminal),
    };
    tracing_subscriber::registry()
        .with(vec![lines])
        .with(init_env_filter::<App>(
            settings.override_filter.as_ref(),
            &settings.level,
        ))
        .init();
    Ok(())
}

/// Writes a line for each event.
struct Lines {
    json: bool,
}

/// The fields of a span, as they stand in lines.
struct SpanFields(Vec<u8>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(&self, span: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
        let mut fields = self.fields();
        span.record(&mut fields);
        if let Some(span) = ctx.span(id) {
            span.extensions_mut().insert(SpanFields(fields.text));
        }
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, ctx: Context<'_, S>) {
        if let Some(span) = ctx.span(id)
            && let Some(SpanFields(known)) = span.extensions_mut().get_mut()
        {
            let mut fields = self.fields();
            fields.text = std::mem::take(known);
            record.record(&mut fields);
            *known = fields.text;
        }
    }

    fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
        let mut fields = self.fields();
        event.record(&mut fields);
        let line = self.line(event, &fields, ctx.event_scope(event));
        // If standard output is closed, there is no other place to report it.
        let _ = io::stdout().lock().write_all(&line);
    }
}

impl Lines {
    fn fields(&self) -> Fields {
        Fields {
            text: Vec::with_capacity(256),
            json: self.json,
            target: None,
        }
    }

    fn line<'a, S: LookupSpan<'a>>(
        &self,
        event: &Event<'_>,
        Fields { text, target, .. }: &Fields,
        scope: Option<Scope<'a, S>>,
    ) -> Vec<u8> {
        let (level, now) = (event.metadata().level().as_str(), rfc3339(Utc::now(), 6));
        let target = target
            .as_deref()
            .unwrap_or_else(|| event.metadata().target());
        let spans: Vec<_> = scope.into_iter().flat_map(Scope::from_root).collect();
        let mut line = Vec::with_capacity(1024);
        let mut put = |parts: &[&[u8]]| parts.iter().for_each(|part| line.extend_from_slice(part));
        if self.json {
            put(&[
                b"{\"timestamp\":\"",
                now.as_bytes(),
                b"\",\"level\":\"",
                level.as_bytes(),
            ]);
            put(&[
                b"\",\"fields\":{",
                text,
                b"},\"target\":\"",
                target.as_bytes(),
                b"\"",
            ]);
            if let Some(innermost) = spans.last() {
                put(&[b",\"span\":"]);
                with_fields(innermost, |fields| put(&json_span(innermost, fields)));
                for (number, span) in spans.iter().enumerate() {
                    put(&[if number == 0 { b",\"spans\":[" } else { b"," }]);
                    with_fields(span, |fields| put(&json_span(span, fields)));
                }
                put(&[b"]"]);
            }
            put(&[b"}\n"]);
        } else {
            put(&[
                now.as_bytes(),
                if level.len() < 5 { b"  " } else { b" " },
                level.as_bytes(),
                b" ",
            ]);
            for span in &spans {
                put(&[span.name().as_bytes(), b":"]);
            }
            put(&[
                if spans.is_empty() { b"" } else { b" " },
                target.as_bytes(),
                b": ",
                text,
            ]);
            for span in &spans {
                with_fields(span, |fields| {
                    put(&[if fields.is_empty() { b"" } else { b" " }, fields]);
                });
            }
            put(&[b"\n"]);
        }
        line
    }
}

fn with_fields<'a, S: LookupSpan<'a>>(span: &SpanRef<'a, S>, show: impl FnOnce(&[u8])) {
    let extensions = span.extensions();
    show(extensions.get().map_or(&[], |SpanFields(fields)| fields));
}

fn json_span<'a, 's, S: LookupSpan<'s>>(
    span: &'a SpanRef<'s, S>,
    fields: &'a [u8],
) -> [&'a [u8]; 6] {
    let comma: &[u8] = if fields.is_empty() { b"" } else { b"," };
    [
        b"{",
        fields,
        comma,
        b"\"name\":\"",
        span.name().as_bytes(),
        b"\"}",
    ]
}

/// Fields, as they stand in a line: `name=value name="text"`, or the inside of a JSON object.
struct Fields {
    text: Vec<u8>,
    json: bool,
    /// The target of an event from the `log` crate, which is a field there.
    target: Option<String>,
}

impl Fields {
    /// Writes the name, unless the field is not shown.
    fn begin(&mut self, field: &Field) -> bool {
        let name = field.name();
        if name.starts_with("log.") {
            return false;
        }
        let name = name.strip_prefix("r#").unwrap_or(name);
        let text = &mut self.text;
        if self.json {
            text.extend_from_slice(if text.is_empty() { b"\"" } else { b",\"" });
            text.extend_from_slice(name.as_bytes());
            text.extend_from_slice(b"\":");
            return true;
        }
        if !text.is_empty() {
            text.push(b' ');
        }
        if name != "message" {
            text.extend_from_slice(name.as_bytes());
            text.push(b'=');
        }
        true
    }

    /// A number, a truth or nothing.
    fn plain(&mut self, field: &Field, value: impl std::fmt::Display) {
        if self.begin(field) {
            let _ = write!(self.text, "{value}");
        }
    }

    /// Text that stands in quotes.
    fn quoted(&mut self, value: &str) {
        if self.json {
            let _ = serde_json::to_writer(&mut self.text, value);
        } else if value
            .bytes()
            .all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\'))
        {
            self.text.push(b'"');
            self.text.extend_from_slice(value.as_bytes());
            self.text.push(b'"');
        } else {
            let _ = write!(self.text, "{value:?}");
        }
    }

    /// Text without quotes, in which nothing looks like another line.
    fn bare(&mut self, value: &str) {
        if value.chars().any(char::is_control) {
            value.chars().for_each(|c| {
                let _ = match c {
                    c if c.is_control() => write!(self.text, "{}", c.escape_default()),
                    c => write!(self.text, "{c}"),
                };
            });
        } else {
            self.text.extend_from_slice(value.as_bytes());
        }
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "log.target" {
            self.target = Some(value.to_owned());
        }
        if self.begin(field) {
            if !self.json && field.name() == "message" {
                self.bare(value);
            } else {
                self.quoted(value);
            }
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if self.json && !value.is_finite() {
            // JSON has no number for it.
            self.plain(field, "null");
        } else {
            self.plain(field, format_args!("{value:?}"));
        }
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        let _ = write!(text, "{value:?}");
        if self.begin(field) {
            if self.json {
                self.quoted(&text);
            } else {
                self.bare(&text);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};

    use super::*;

    /// What would be written.
    struct Kept(Lines, Arc<Mutex<String>>);

    impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Kept {
        fn on_new_span(&self, span: &Attributes<'_>, id: &Id, ctx: Context<'_, S>) {
            self.0.on_new_span(span, id, ctx);
        }

        fn on_record(&self, id: &Id, record: &Record<'_>, ctx: Context<'_, S>) {
            self.0.on_record(id, record, ctx);
        }

        fn on_event(&self, event: &Event<'_>, ctx: Context<'_, S>) {
            let mut fields = self.0.fields();
            event.record(&mut fields);
            let line = self.0.line(event, &fields, ctx.event_scope(event));
            *self.1.lock().unwrap() += &String::from_utf8(line).unwrap();
        }
    }

    fn written(json: bool) -> String {
        let text = Arc::<Mutex<String>>::default();
        let log = tracing_subscriber::registry().with(Kept(Lines { json }, Arc::clone(&text)));
        tracing::subscriber::with_default(log, || {
            let outer = tracing::info_span!("request", id = "a-7", late = tracing::field::Empty);
            let _outer = outer.enter();
            outer.record("late", 9);
            let _inner = tracing::info_span!("write").entered();
            let (none, broken) = (None::<&str>, "one\ntwo");
            let yes = true;
            tracing::warn!(
                none, yes, less = -1, part = 0.5, never = f64::NAN, r#type = 1, said = "\"no\"\n", shown = %broken,
                "it is {}", "late\u{1b}"
            );
        });
        Arc::into_inner(text).unwrap().into_inner().unwrap()
    }

    #[test]
    fn a_line_for_people_is_one_line_whatever_stands_in_it() {
        let line = written(false);
        let expected = "  WARN request:write: boxcar::log::tests: it is late\\u{1b} yes=true less=-1 part=0.5 \
                        never=NaN type=1 said=\"\\\"no\\\"\\n\" shown=one\\ntwo id=\"a-7\" late=9\n";
        assert_eq!(line.split_once('Z').unwrap().1, expected);
    }

    #[test]
    fn a_line_for_programs_is_json_of_the_same() {
        let mut line: Value = serde_json::from_str(&written(true)).unwrap();
        let time = line["timestamp"].take();
        chrono::DateTime::parse_from_rfc3339(time.as_str().unwrap()).unwrap();
        let request = json!({ "id": "a-7", "late": 9, "name": "request" });
        let expected = json!({
            "timestamp": null, "level": "WARN", "target": "boxcar::log::tests",
            "fields": {
                "message": "it is late\u{1b}", "yes": true, "less": -1, "part": 0.5,
                "never": null, "type": 1, "said": "\"no\"\n", "shown": "one\ntwo",
            },
            "span": { "name": "write" }, "spans": [request, { "name": "write" }],
        });
        assert_eq!(line, expected);
    }
}
