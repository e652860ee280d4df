//! How far a long answer has come, on one line of the terminal: objects, bytes, rate.
//!
//! The line is gone before kubectl has the last byte of an answer, so nothing that kubectl prints ever meets it.
//!
//! Deliberately absent: a share of the whole, which nobody knows beforehand; and anything where stderr is no terminal.

use std::{
    io::Write,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use meta::ListScanner;
use parking_lot::Mutex;

/// Whoever has an answer sooner than this needs no line.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the line is written anew.
const EVERY: Duration = Duration::from_millis(200);
/// Takes the line away.
const ERASE: &[u8] = b"\r\x1b[K";

/// The line, and what it tells of all answers so far.
pub(crate) struct Progress(Mutex<Line>);

struct Line {
    out: Box<dyn Write + Send>,
    began: Option<Instant>,
    written: Option<Instant>,
    answers_open: usize,
    objects: u64,
    bytes: u64,
}

impl Progress {
    /// Writes to `out`, which is a terminal.
    pub(crate) fn on(out: impl Write + Send + 'static) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Line {
            out: Box::new(out),
            began: None,
            written: None,
            answers_open: 0,
            objects: 0,
            bytes: 0,
        })))
    }

    fn open(&self) {
        self.0.lock().answers_open += 1;
    }

    fn count(&self, now: Instant, objects: u64, bytes: usize) {
        let mut line = self.0.lock();
        line.objects += objects;
        line.bytes += bytes as u64;
        let elapsed = now.duration_since(*line.began.get_or_insert(now));
        let due = line.written.is_none_or(|written| now.duration_since(written) >= EVERY);
        if elapsed >= PATIENCE && due {
            line.written = Some(now);
            line.write(elapsed);
        }
    }

    fn close(&self) {
        let mut line = self.0.lock();
        line.answers_open = line.answers_open.saturating_sub(1);
        if line.answers_open == 0 && line.written.take().is_some() {
            line.put(ERASE);
        }
    }
}

impl Line {
    fn write(&mut self, elapsed: Duration) {
        let rate = self.bytes as f64 / elapsed.as_secs_f64();
        let text =
            format!("{} objects, {}, {}/s", grouped(self.objects), size(self.bytes as f64), size(rate));
        self.put(&[ERASE, text.as_bytes()].concat());
    }

    /// A terminal that is gone is no reason to stop.
    fn put(&mut self, bytes: &[u8]) {
        let _ = self.out.write_all(bytes).and_then(|()| self.out.flush());
    }
}

/// Counts one answer while it passes.
struct Meter {
    progress: Arc<Progress>,
    /// Until the answer turns out to be no list.
    scanner: Option<ListScanner>,
}

impl Meter {
    fn new(progress: &Arc<Progress>) -> Self {
        progress.open();
        Self { progress: progress.clone(), scanner: Some(ListScanner::default().with_tables()) }
    }

    fn saw(&mut self, now: Instant, data: &Bytes) {
        let mut objects = 0;
        if let Some(scanner) = &mut self.scanner {
            scanner.push(data.clone());
            let is_list = loop {
                match scanner.next_item() {
                    Ok(Some(_)) => objects += 1,
                    Ok(None) => break true,
                    Err(_) => break false,
                }
            };
            if !is_list {
                self.scanner = None;
            }
        }
        self.progress.count(now, objects, data.len());
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.progress.close();
    }
}

/// The body of an answer on its way to kubectl, counted if somebody wants to know.
pub(crate) struct Watched {
    inner: Incoming,
    meter: Option<Meter>,
}

impl Watched {
    /// Counts `inner` for `progress`, if there is one.
    pub(crate) fn new(inner: Incoming, progress: Option<&Arc<Progress>>) -> Self {
        Self { inner, meter: progress.map(Meter::new) }
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = ready!(Pin::new(&mut self.inner).poll_frame(context));
        if let (Some(meter), Some(Ok(frame))) = (&mut self.meter, &polled)
            && let Some(data) = frame.data_ref()
        {
            meter.saw(Instant::now(), data);
        }
        if !matches!(polled, Some(Ok(_))) || self.inner.is_end_stream() {
            // Before kubectl has the end, and prints.
            self.meter = None;
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// `1234567` as `1,234,567`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes as a person reads them.
fn size(bytes: f64) -> String {
    const UNITS: [&str; 4] = ["B", "kB", "MB", "GB"];
    let (mut value, mut unit) = (bytes, 0);
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{value:.0} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Terminal(Arc<Mutex<Vec<u8>>>);

    impl Terminal {
        fn take(&self) -> String {
            String::from_utf8(std::mem::take(&mut *self.0.lock())).unwrap()
        }
    }

    impl Write for Terminal {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_long_answer_shows_objects_bytes_and_rate_and_leaves_no_trace() {
        let terminal = Terminal::default();
        let progress = Progress::on(terminal.clone());
        let mut meter = Meter::new(&progress);
        let begin = Instant::now();
        meter.saw(begin, &Bytes::from_static(b"{\"kind\":\"PodList\",\"items\":[{},{\"a\":"));
        assert_eq!(terminal.take(), "", "a short answer needs no line");
        meter.saw(begin + Duration::from_secs(2), &Bytes::from_static(b"{}},{}"));
        assert_eq!(terminal.take(), "\r\x1b[K3 objects, 41 B, 20 B/s");
        meter.saw(begin + Duration::from_millis(2100), &Bytes::from_static(b",{}"));
        assert_eq!(terminal.take(), "", "not more often than an eye can follow");
        drop(meter);
        assert_eq!(terminal.take(), "\r\x1b[K");
    }

    #[test]
    fn rows_of_a_table_are_objects_too_and_what_is_no_list_has_bytes_only() {
        let terminal = Terminal::default();
        let progress = Progress::on(terminal.clone());
        let begin = Instant::now();
        let mut table = Meter::new(&progress);
        table.saw(begin, &Bytes::from_static(br#"{"kind":"Table","columnDefinitions":[{}],"rows":[{},{}"#));
        let mut text = Meter::new(&progress);
        text.saw(begin + PATIENCE, &Bytes::from_static(b"no JSON at all"));
        assert_eq!(terminal.take(), "\r\x1b[K2 objects, 68 B, 68 B/s");
        drop(table);
        assert_eq!(terminal.take(), "", "another answer is under way");
        drop(text);
        assert_eq!(terminal.take(), "\r\x1b[K");
    }

    #[test]
    fn numbers_are_written_for_people() {
        for (number, text) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), text);
        }
        for (bytes, text) in
            [(0.0, "0 B"), (999.0, "999 B"), (1_500.0, "1.5 kB"), (2e6, "2.0 MB"), (3e12, "3000.0 GB")]
        {
            assert_eq!(size(bytes), text);
        }
    }
}
