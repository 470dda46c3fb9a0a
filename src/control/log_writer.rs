//! Writes the access log: sleeps until a worker rings, then turns every waiting record into a line.
//!
//! Workers never wait for it. When the disk is slow their rings fill, and they drop and count. The write itself runs on tokio's
//! blocking pool, so that a reader of stdout who stops reading stops neither signals nor `/healthz`.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;

use crate::access_log::{Drain, Names, write_line};
use crate::limits::{ACCESS_LOG_BATCH_BYTES, ACCESS_LOG_PAUSE};
use crate::metrics::ControlCounters;
use crate::sync::Arc;
use crate::sys::eventfd::EventFd;

/// Where the lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// A file that is appended to and created if it is missing.
    File(PathBuf),
}

/// What the log writer can be told while it runs.
#[derive(Debug)]
pub enum Order {
    /// Open the file anew, as after a rotation.
    Reopen,
    /// Also drain this ring: a worker was started.
    Watch(Drain),
    /// Write what is left and end. Send it after the workers have ended.
    Stop,
}

/// The access log's one writer.
pub struct LogWriter {
    bell: Arc<EventFd>,
    drains: Vec<Drain>,
    names: Box<dyn Names + Send>,
    counters: Arc<ControlCounters>,
    target: Target,
    sink: Sink,
}

impl LogWriter {
    /// Opens the target. Every ring that is watched must ring `bell`.
    pub fn open(
        target: Target,
        bell: Arc<EventFd>,
        names: Box<dyn Names + Send>,
        counters: Arc<ControlCounters>,
    ) -> io::Result<Self> {
        let sink = Sink::new(open(&target)?);
        Ok(Self {
            bell,
            drains: Vec::new(),
            names,
            counters,
            target,
            sink,
        })
    }

    /// Adds a worker's ring.
    pub fn watch(&mut self, drain: Drain) {
        self.drains.push(drain);
    }

    /// Writes until told to stop, or until every sender of orders is gone. Sleeps while nothing happens.
    pub async fn run(mut self, mut orders: mpsc::Receiver<Order>) -> io::Result<()> {
        let bell = sleepable(&self.bell)?;
        loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Reopen) => self.reopen(),
                    Some(Order::Watch(drain)) => self.watch(drain),
                    Some(Order::Stop) | None => break,
                },
                ready = bell.readable() => {
                    // Readiness goes first, then the rings so far: a later ring makes it ready again.
                    ready?.clear_ready();
                    self.bell.drain()?;
                    self.write_waiting().await?;
                    // A busy fleet rings all the time; waiting here turns many rings into one batch.
                    tokio::time::sleep(ACCESS_LOG_PAUSE).await;
                }
            }
        }
        self.write_waiting().await
    }

    /// Writes every record that waits in any ring.
    async fn write_waiting(&mut self) -> io::Result<()> {
        for place in 0..self.drains.len() {
            let (batch, names) = (&mut self.sink.batch, &*self.names);
            let lines = self.drains[place].drain(|record| write_line(batch, record, names));
            self.sink.batch_lines += lines as u64;
            if self.sink.batch.len() >= ACCESS_LOG_BATCH_BYTES {
                self.write_batch().await?;
            }
        }
        self.write_batch().await?;
        // A dead worker's ring goes once it is empty; its metrics live elsewhere.
        self.drains
            .retain(|drain| !drain.is_abandoned() || !drain.is_empty());
        Ok(())
    }

    async fn write_batch(&mut self) -> io::Result<()> {
        if self.sink.batch.is_empty() {
            return Ok(());
        }
        // The sink travels to the blocking pool and back, so nothing is shared with it.
        let mut sink = std::mem::take(&mut self.sink);
        let (sink, written) = tokio::task::spawn_blocking(move || {
            let written = sink.write();
            (sink, written)
        })
        .await?;
        self.sink = sink;
        self.counters.log_lines.add(written.lines);
        self.counters.log_lines_lost.add(written.lines_lost);
        if let Some(error) = written.error {
            self.counters.log_write_errors.add(1);
            tracing::warn!(%error, lines = written.lines_lost, "the access log lost lines");
        }
        Ok(())
    }

    fn reopen(&mut self) {
        match open(&self.target) {
            Ok(file) => self.sink.file = Some(file),
            Err(error) => {
                self.counters.log_write_errors.add(1);
                tracing::warn!(%error, target = ?self.target, "the access log keeps its old file");
            }
        }
    }
}

#[expect(
    deprecated,
    reason = "the replacement is unsafe, and asks for what holds here by type: `EventFd` owns its descriptor, always \
              names the same one, and closes it only after this `Arc` is gone"
)]
fn sleepable(bell: &Arc<EventFd>) -> io::Result<AsyncFd<Arc<EventFd>>> {
    AsyncFd::with_interest(Arc::clone(bell), Interest::READABLE)
}

fn open(target: &Target) -> io::Result<File> {
    match target {
        Target::Stdout => Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?)),
        // Access logs name people's addresses: the group may read them, others may not.
        Target::File(path) => OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o640)
            .open(path),
    }
}

/// The open file and the lines that are on their way to it.
#[derive(Debug, Default)]
struct Sink {
    /// Invariant: present whenever the sink is not away on the blocking pool.
    file: Option<File>,
    batch: Vec<u8>,
    batch_lines: u64,
    /// Whether a failed write left half a line behind.
    torn: bool,
}

/// What became of one batch.
struct Written {
    lines: u64,
    lines_lost: u64,
    error: Option<io::Error>,
}

impl Sink {
    const fn new(file: File) -> Self {
        Self {
            file: Some(file),
            batch: Vec::new(),
            batch_lines: 0,
            torn: false,
        }
    }

    /// Writes the batch and empties it, whatever became of it: old lines must not dam up new ones.
    fn write(&mut self) -> Written {
        let file = self
            .file
            .as_mut()
            .expect("invariant: the sink holds a file unless it is away, and it is here");
        if self.torn && file.write_all(b"\n").is_ok() {
            self.torn = false;
        }
        let (done, error) = write_some(file, &self.batch);
        let lines = count_lines(&self.batch[..done]);
        if done > 0 {
            self.torn = self.batch[done - 1] != b'\n';
        }
        let written = Written {
            lines,
            lines_lost: self.batch_lines - lines,
            error,
        };
        self.batch.clear();
        self.batch.shrink_to(2 * ACCESS_LOG_BATCH_BYTES);
        self.batch_lines = 0;
        written
    }
}

/// Like `write_all`, but says how far it came.
fn write_some(file: &mut File, bytes: &[u8]) -> (usize, Option<io::Error>) {
    let mut done = 0;
    while done < bytes.len() {
        match file.write(&bytes[done..]) {
            Ok(0) => return (done, Some(io::ErrorKind::WriteZero.into())),
            Ok(count) => done += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (done, Some(error)),
        }
    }
    (done, None)
}

fn count_lines(bytes: &[u8]) -> u64 {
    let ends = bytes.split(|byte| *byte == b'\n').count() - 1;
    ends as u64
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::fs;
    use std::time::Duration;

    use super::*;
    use crate::access_log::{Record, Recorder, RefusalRecord, channel};
    use crate::metrics::Refusal;

    struct Nobody;

    impl Names for Nobody {
        fn route(&self, _: u16) -> Option<Cow<'_, str>> {
            None
        }
        fn backend(&self, _: u16) -> Option<Cow<'_, str>> {
            None
        }
    }

    fn record(worker: u16) -> Record {
        Record::Refused(RefusalRecord {
            at_unix_ms: 0,
            duration_ms: 0,
            client: "192.0.2.1:80".parse().unwrap(),
            forwarded_for: None,
            route: None,
            backend: None,
            worker,
            status: Some(404),
            reason: Refusal::NoRoute,
        })
    }

    struct Fixture {
        bell: Arc<EventFd>,
        counters: Arc<ControlCounters>,
        orders: mpsc::Sender<Order>,
        task: tokio::task::JoinHandle<io::Result<()>>,
    }

    fn start(path: PathBuf) -> Fixture {
        let bell = Arc::new(EventFd::new().unwrap());
        let counters = Arc::new(ControlCounters::default());
        let writer = LogWriter::open(
            Target::File(path),
            Arc::clone(&bell),
            Box::new(Nobody),
            Arc::clone(&counters),
        )
        .unwrap();
        let (orders, inbox) = mpsc::channel(4);
        Fixture {
            bell,
            counters,
            orders,
            task: tokio::spawn(writer.run(inbox)),
        }
    }

    impl Fixture {
        async fn worker(&self) -> Recorder {
            let (recorder, drain) = channel(16, &self.bell);
            self.orders.send(Order::Watch(drain)).await.unwrap();
            recorder
        }

        async fn until_lines(&self, lines: u64) {
            let all = async {
                while self.counters.log_lines.get() < lines {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(10), all)
                .await
                .unwrap();
        }
    }

    #[tokio::test]
    async fn records_of_every_worker_become_lines() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("access.log");
        let fixture = start(path.clone());
        let (mut one, mut two) = (fixture.worker().await, fixture.worker().await);
        one.push(record(1));
        two.push(record(2));
        fixture.until_lines(2).await;
        one.push(record(3));
        fixture.until_lines(3).await;
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 3);
        assert!(text.lines().all(|line| line.starts_with("{\"time\":")));
    }

    #[tokio::test]
    async fn a_stop_writes_what_a_dead_worker_left_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("access.log");
        let fixture = start(path.clone());
        let mut worker = fixture.worker().await;
        worker.push(record(1));
        drop(worker);
        fixture.orders.send(Order::Stop).await.unwrap();
        fixture.task.await.unwrap().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
    }

    #[tokio::test]
    async fn a_rotated_file_is_opened_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("access.log");
        let fixture = start(path.clone());
        let mut worker = fixture.worker().await;
        worker.push(record(1));
        fixture.until_lines(1).await;
        fs::rename(&path, dir.path().join("access.log.1")).unwrap();
        fixture.orders.send(Order::Reopen).await.unwrap();
        // An order and a ring may be taken in either sequence, so the next record waits for the new file.
        while !path.exists() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        worker.push(record(2));
        fixture.until_lines(2).await;
        assert!(fs::read_to_string(&path).unwrap().contains("\"worker\":2"));
    }

    #[tokio::test]
    async fn a_full_disk_loses_lines_and_counts_them() {
        let fixture = start(PathBuf::from("/dev/full"));
        let mut worker = fixture.worker().await;
        worker.push(record(1));
        worker.push(record(2));
        let lost = async {
            while fixture.counters.log_lines_lost.get() < 2 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), lost)
            .await
            .unwrap();
        assert!(fixture.counters.log_write_errors.get() >= 1);
        assert_eq!(fixture.counters.log_lines.get(), 0);
        assert!(!fixture.task.is_finished(), "the writer goes on");
    }

    #[test]
    fn a_torn_line_is_ended_before_the_next_batch() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"{\"half").unwrap();
        let mut sink = Sink::new(file.reopen().unwrap());
        sink.file = Some(open(&Target::File(file.path().to_owned())).unwrap());
        sink.torn = true;
        sink.batch = b"{}\n".to_vec();
        sink.batch_lines = 1;
        assert_eq!(sink.write().lines, 1);
        assert_eq!(fs::read_to_string(file.path()).unwrap(), "{\"half\n{}\n");
    }
}
