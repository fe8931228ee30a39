//! [`Broker`]: one real Apache Kafka for the tests that must not believe a mock.
//!
//! Invariant: a `Broker` ends the one process it started, by its handle, and removes its folder;
//! and two test processes never fetch the jars at the same time.
//!
//! Source: Kafka's manual, chapter on `KRaft`: one node is broker and controller.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Why a test has no broker.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoBroker {
    /// The machine lacks a program: a test may be skipped, and must say so.
    #[error("no usable {program} on this machine: apt-get install {package}")]
    Missing { program: &'static str, package: &'static str },

    /// Maven could not get the jars, for instance without a network: a test may be skipped.
    #[error("maven did not fetch the Kafka jars:\n{output}")]
    Unfetched { output: String },

    /// All is there and Kafka did not come up: a test must fail.
    #[error("Kafka is not up after {waited:?}, the end of its log:\n{log_tail}")]
    NotUp { waited: Duration, log_tail: String },

    /// The harness could not do its own work: a test must fail.
    #[error("the Kafka harness cannot work in {}", path.display())]
    Harness {
        path: PathBuf,
        #[source]
        cause: io::Error,
    },
}

/// A running Kafka broker on a loopback port, with a data folder of its own.
#[derive(Debug)]
pub(crate) struct Broker {
    /// `None` between [`kill`](Self::kill) and [`start_again`](Self::start_again).
    server: Option<Child>,
    client_port: u16,
    jars: PathBuf,
    home: TempDir,
}

impl Broker {
    /// How long a start may take. Measured: 2 to 3 s on two idle cores.
    const START_MAX: Duration = Duration::from_secs(90);
    /// Another program may take a port between the choice and the start.
    const START_TRIES: u32 = 3;

    /// Starts a broker of the test's own, for tests that [`kill`](Self::kill) it.
    ///
    /// # Errors
    ///
    /// [`NoBroker::Missing`] and [`NoBroker::Unfetched`] say what the machine lacks; the others
    /// are failures.
    pub(crate) fn start() -> Result<Self, NoBroker> {
        require("java", "default-jre-headless (Java 17 or newer)", java_is_new_enough)?;
        let jars = jars()?;
        let mut tries = 1;
        loop {
            match Self::start_on_free_ports(&jars) {
                Err(NoBroker::NotUp { log_tail, .. })
                    if tries < Self::START_TRIES && log_tail.contains("Address already in use") =>
                {
                    tries += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// The broker that the tests running at this moment share; the last one to let go ends it.
    ///
    /// A `static` that holds the broker itself would never be dropped and would leave a JVM.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub(crate) fn shared() -> Result<Arc<Self>, NoBroker> {
        static RUNNING: Mutex<Weak<Broker>> = Mutex::new(Weak::new());
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(broker) = running.upgrade() {
            return Ok(broker);
        }
        let broker = Arc::new(Self::start()?);
        *running = Arc::downgrade(&broker);
        Ok(broker)
    }

    /// What a client takes as `bootstrap.servers`.
    pub(crate) fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.client_port)
    }

    /// Ends the broker as a power cut would: no shutdown hook runs, the data folder stays.
    pub(crate) fn kill(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill().expect("the process is our own child");
            server.wait().expect("the process is our own child");
        }
    }

    /// Stops the process where it is: connections stay, nobody answers. [`kill`](Self::kill) still ends it.
    pub(crate) fn stand_still(&self) {
        let server = self.server.as_ref().expect("a broker that runs");
        let sent = Command::new("kill").args(["-STOP", &server.id().to_string()]).status();
        assert!(sent.expect("kill is there").success());
    }

    /// Starts a killed broker on the same port and the same data.
    ///
    /// # Errors
    ///
    /// [`NoBroker::NotUp`] with the end of the broker's log.
    pub(crate) fn start_again(&mut self) -> Result<(), NoBroker> {
        assert!(self.server.is_none(), "only a killed broker is started again");
        self.launch()
    }

    fn start_on_free_ports(jars: &Path) -> Result<Self, NoBroker> {
        let scratch = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let home = tempfile::Builder::new()
            .prefix("kafka-")
            .tempdir_in(scratch)
            .map_err(|cause| harness(scratch, cause))?;
        let (client_port, controller_port) = (free_port(), free_port());
        let properties = home.path().join("server.properties");
        fs::write(&properties, server_properties(home.path(), client_port, controller_port))
            .map_err(|cause| harness(&properties, cause))?;

        let mut broker = Self { server: None, client_port, jars: jars.to_path_buf(), home };
        broker.format_storage()?;
        broker.launch()?;
        Ok(broker)
    }

    fn format_storage(&self) -> Result<(), NoBroker> {
        let started = Instant::now();
        // Any 16 bytes do as a cluster id: these are "surety-test-brok" in Base64.
        let output = self
            .java("kafka.tools.StorageTool")
            .args(["format", "-t", "c3VyZXR5LXRlc3QtYnJvaw", "-c"])
            .arg(self.home.path().join("server.properties"))
            .output()
            .map_err(|cause| harness(self.home.path(), cause))?;
        if output.status.success() {
            return Ok(());
        }
        Err(NoBroker::NotUp { waited: started.elapsed(), log_tail: text_of(&output) })
    }

    /// Starts the JVM and waits until Kafka answers a request.
    fn launch(&mut self) -> Result<(), NoBroker> {
        let path = self.home.path().join("server.log");
        let log = File::create(&path).map_err(|cause| harness(&path, cause))?;
        let log_too = log.try_clone().map_err(|cause| harness(&path, cause))?;
        let server = self
            .java("kafka.Kafka")
            .arg(self.home.path().join("server.properties"))
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(log_too)
            .spawn()
            .map_err(|cause| harness(&path, cause))?;
        let server = self.server.insert(server);

        let started = Instant::now();
        loop {
            let log = fs::read_to_string(&path).map_err(|cause| harness(&path, cause))?;
            if log.contains("Kafka Server started") && answers(self.client_port) {
                return Ok(());
            }
            let has_ended = server.try_wait().map_err(|cause| harness(&path, cause))?.is_some();
            if has_ended || Self::START_MAX < started.elapsed() {
                self.kill();
                let log_tail = last_lines(&log, 40);
                return Err(NoBroker::NotUp { waited: started.elapsed(), log_tail });
            }
            sleep(Duration::from_millis(25));
        }
    }

    /// A JVM for tests: a small heap, quick to start, silent but for what [`Self::launch`] reads.
    fn java(&self, class: &str) -> Command {
        let mut java = Command::new("java");
        java.args(["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"])
            .arg("-Djava.awt.headless=true")
            .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn")
            .arg("-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info")
            .arg("-cp")
            .arg(self.jars.join("*"))
            .arg(class);
        java
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

/// One node that starts fast and keeps what the tests give it, however old its timestamps are.
fn server_properties(home: &Path, client_port: u16, controller_port: u16) -> String {
    let mut text = String::from(
        "process.roles=broker,controller\n\
         node.id=1\n\
         listener.security.protocol.map=CLIENT:PLAINTEXT,CONTROLLER:PLAINTEXT\n\
         inter.broker.listener.name=CLIENT\n\
         controller.listener.names=CONTROLLER\n\
         num.network.threads=2\n\
         num.io.threads=2\n\
         auto.create.topics.enable=false\n\
         group.initial.rebalance.delay.ms=0\n\
         group.min.session.timeout.ms=1000\n\
         offsets.topic.num.partitions=1\n\
         offsets.topic.replication.factor=1\n\
         transaction.state.log.num.partitions=1\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n\
         log.cleaner.dedupe.buffer.size=4194304\n",
    );
    // After a kill the controller would refuse the new process until the old session is over.
    text.push_str("broker.session.timeout.ms=1000\nbroker.heartbeat.interval.ms=200\n");
    // Scenarios carry dates of their own: nothing is too old to keep, nor too new to take.
    text.push_str("log.retention.ms=-1\nlog.message.timestamp.after.max.ms=9223372036854775807\n");
    let data = home.join("data");
    write!(
        text,
        "log.dirs={}\n\
         controller.quorum.voters=1@127.0.0.1:{controller_port}\n\
         listeners=CLIENT://127.0.0.1:{client_port},CONTROLLER://127.0.0.1:{controller_port}\n\
         advertised.listeners=CLIENT://127.0.0.1:{client_port}\n",
        data.display()
    )
    .expect("a String takes everything");
    text
}

/// A loopback port nobody listens on, from below the range the kernel gives to clients: there, a
/// client that keeps trying a dead broker can be given the broker's own port.
fn free_port() -> u16 {
    const FIRST: u16 = 20_000;
    const COUNT: u16 = 10_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test processes that run at the same time start from different ports.
    let own = u16::try_from(std::process::id() % u32::from(COUNT)).expect("COUNT fits in u16");
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FIRST + (own + step) % COUNT;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
    panic!("all {COUNT} ports from {FIRST} up are taken");
}

/// Whether a Kafka broker answers on `port`: asks it for its API versions.
///
/// Source: Kafka protocol guide, `ApiVersions` (key 18) version 0.
fn answers(port: u16) -> bool {
    const CORRELATION: [u8; 4] = *b"srty";
    let ask = || -> io::Result<[u8; 10]> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut request = vec![0, 0, 0, 10, 0, 18, 0, 0];
        request.extend(CORRELATION);
        request.extend([0xff, 0xff]); // No client id.
        stream.write_all(&request)?;
        let mut answer = [0; 10];
        stream.read_exact(&mut answer)?;
        Ok(answer)
    };
    match ask() {
        Ok([_, _, _, _, c0, c1, c2, c3, 0, 0]) => [c0, c1, c2, c3] == CORRELATION,
        Ok(_) | Err(_) => false,
    }
}

/// The folder of Kafka's jars below cargo's target folder; fetched when `pom.xml` has changed.
///
/// The copy of `pom.xml` in the folder is written last: where it is equal, the jars are complete.
/// `make kafka-jars` keeps to the same rule and the same lock.
fn jars() -> Result<PathBuf, NoBroker> {
    let pom = Path::new("tests/kafka/pom.xml");
    let wanted = fs::read(pom).map_err(|cause| harness(pom, cause))?;
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is target/tmp");
    let folder = target.join("kafka-jars");
    let stamp = folder.join("pom.xml");

    let lock = target.join("kafka-jars.lock");
    let _held_to_the_end = File::create(&lock)
        .and_then(|file| file.lock().map(|()| file))
        .map_err(|cause| harness(&lock, cause))?;
    if fs::read(&stamp).is_ok_and(|found| found == wanted) {
        return Ok(folder);
    }

    require("mvn", "maven", |_| true)?;
    match fs::remove_dir_all(&folder) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => return Err(harness(&folder, cause)),
        Ok(()) | Err(_) => {}
    }
    let output = Command::new("mvn")
        .args(["--quiet", "--batch-mode", "--file"])
        .arg(pom)
        .arg("dependency:copy-dependencies")
        .arg(format!("-DoutputDirectory={}", folder.display()))
        .output()
        .map_err(|cause| harness(pom, cause))?;
    if !output.status.success() {
        return Err(NoBroker::Unfetched { output: text_of(&output) });
    }
    fs::write(&stamp, wanted).map_err(|cause| harness(&stamp, cause))?;
    Ok(folder)
}

/// Checks that `program -version` runs and prints what `is_fit` wants.
fn require(
    program: &'static str,
    package: &'static str,
    is_fit: fn(&str) -> bool,
) -> Result<(), NoBroker> {
    match Command::new(program).arg("-version").output() {
        Ok(output) if output.status.success() && is_fit(&text_of(&output)) => Ok(()),
        Ok(_) | Err(_) => Err(NoBroker::Missing { program, package }),
    }
}

/// Kafka 4 runs on Java 17 and newer: `openjdk version "17.0.15" 2025-04-15`.
fn java_is_new_enough(version_text: &str) -> bool {
    let quoted = version_text.split('"').nth(1).unwrap_or("");
    let major: String = quoted.chars().take_while(char::is_ascii_digit).collect();
    major.parse::<u32>().is_ok_and(|major| 17 <= major)
}

fn text_of(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    last_lines(&text, 40)
}

fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

fn harness(path: &Path, cause: io::Error) -> NoBroker {
    NoBroker::Harness { path: path.to_path_buf(), cause }
}
