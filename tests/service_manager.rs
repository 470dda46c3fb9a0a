//! What a service manager is told: that connections are accepted, that the file is read again, and for how long a drain goes on.
#![expect(clippy::unwrap_used, reason = "a test stops at its first surprise")]

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A `ringway run` whose service manager is this test.
struct Service {
    child: Child,
    socket: UnixDatagram,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Service {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("ringway.toml");
        write_config(&file, "90m");
        let address = folder.path().join("notify");
        let socket = UnixDatagram::bind(&address).unwrap();
        socket
            .set_read_timeout(Some(std::time::Duration::from_secs(20)))
            .unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_ringway"))
            .args(["run", "-c"])
            .arg(&file)
            .env("NOTIFY_SOCKET", &address)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self {
            child,
            socket,
            file,
            _folder: folder,
        }
    }

    /// What it says next, line by line.
    fn hear(&self) -> Vec<String> {
        let mut bytes = [0; 1024];
        let length = self.socket.recv(&mut bytes).expect("it says something");
        let text = std::str::from_utf8(&bytes[..length]).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn send(&self, signal: &str) {
        let kill = format!("kill -{signal} {}", self.child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn write_config(file: &Path, deadline: &str) {
    let text = format!(
        "[workers]\ncores = 1\n[control]\nbind = \"127.0.0.1:0\"\n[drain]\ntime = \"0s\"\ndeadline = \"{deadline}\"\n\
         [listeners.a]\nbind = \"127.0.0.1:0\"\n[pools.p]\nbackends = [\"127.0.0.1:9\"]\n[[routes]]\npool = \"p\"\n"
    );
    std::fs::write(file, text).unwrap();
}

#[test]
fn a_service_manager_hears_of_the_start_of_each_reload_and_of_the_drain() {
    let mut service = Service::start();
    assert_eq!(service.hear(), ["READY=1", "STATUS=serving"]);

    service.send("HUP");
    let reloading = service.hear();
    assert_eq!(reloading[0], "RELOADING=1");
    assert!(reloading[1].starts_with("MONOTONIC_USEC="), "{reloading:?}");
    assert_eq!(service.hear(), ["READY=1", "STATUS=serving"]);

    std::fs::write(&service.file, "[nonsense]\n").unwrap();
    service.send("HUP");
    assert_eq!(service.hear()[0], "RELOADING=1");
    let refused = "STATUS=serving; the last reload was refused";
    assert_eq!(service.hear(), ["READY=1", refused]);

    // Ninety minutes and the margin: more than 32 bits of microseconds hold.
    service.send("TERM");
    let stopping = [
        "STOPPING=1",
        "EXTEND_TIMEOUT_USEC=5410000000",
        "STATUS=draining for at most 5400 s",
    ];
    assert_eq!(service.hear(), stopping);
    assert!(service.child.wait().unwrap().success());
}
