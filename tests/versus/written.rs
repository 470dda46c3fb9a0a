//! The JSON, the page, the pictures and README's table of a report that is made up.

use std::collections::BTreeMap;

use crate::case::{Case, Load};
use crate::folder::Folder;
use crate::host::Host;
use crate::page::page;
use crate::plot::{Picture, pictures, svg};
use crate::readme::{replaced, table};
use crate::report::{FLOOR, Outcome, Report};
use crate::sample::Sample;
use crate::upheaval::Upheaval;

const NAMES: [&str; 3] = ["Ringway", "nginx", FLOOR];

/// Rounds in which Ringway takes `value`, nginx twice that, the floor half of it.
fn outcome(case: Case, value: f64) -> Outcome {
    let samples = [1.0, 2.0, 0.5].map(|share| {
        let sample = |noise: f64| Sample {
            value: value * share * noise,
            per_second: 1_000.0,
            p50_us: 10.0 * share,
            p99_us: value * share * noise,
            p999_us: 300.0 * share,
            max_us: 400.0 * share,
            upheaval: matches!(case.load, Load::Reload | Load::Death { .. }).then(upheaval),
            ..Sample::default()
        };
        vec![sample(0.9), sample(1.0), sample(1.2)]
    });
    Outcome {
        case,
        names: NAMES.map(str::to_owned).to_vec(),
        rate: Some(5_000.0),
        samples: samples.to_vec(),
        configs: NAMES.map(|name| format!("config of {name}")).to_vec(),
    }
}

fn upheaval() -> Upheaval {
    Upheaval {
        tunnels: 64,
        tunnels_lost: 16,
        messages_lost: 3,
        ends: BTreeMap::from([("Close 1011".to_owned(), 16)]),
        handshakes: 100,
        handshakes_failed: 1,
        refusals: BTreeMap::from([("502".to_owned(), 1)]),
        failing_ms: 12.0,
        processes: 2,
    }
}

/// A report with every kind of row.
fn report() -> Report {
    let host = Host {
        date: "2026-01-02 03:04 UTC".to_owned(),
        processor: "a processor".to_owned(),
        cores: 2,
        kernel: "6.1".to_owned(),
        load_before: "0 0 0".to_owned(),
        load_after: "1 1 1".to_owned(),
    };
    let versions = NAMES.map(|name| (name.to_owned(), format!("{name}/1.2")));
    let mut report = Report::new(
        "cargo versus --table".to_owned(),
        host,
        None,
        BTreeMap::from(versions),
    );
    for case in Case::ALL.into_iter().chain(Case::TLS) {
        report.take(outcome(case, 1_500.0));
    }
    report
}

#[test]
fn a_report_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let folder = Folder::make(folder.path().join("run")).unwrap();
    let report = report();
    folder.save(&report).unwrap();
    assert_eq!(folder.read().unwrap(), report);
    let page = std::fs::read_to_string(folder.path().join("report.md")).unwrap();
    for picture in page.lines().filter_map(|line| line.strip_prefix("![")) {
        let (_, file) = picture.trim_end_matches(')').split_once("](").unwrap();
        assert!(folder.path().join(file).exists(), "{file}");
    }
}

#[test]
fn a_report_of_another_schema_is_refused() {
    let path = tempfile::tempdir().unwrap();
    let folder = Folder::make(path.path().to_owned()).unwrap();
    let mut report = report();
    report.schema += 1;
    folder.save(&report).unwrap();
    assert!(folder.read().unwrap_err().to_string().contains("schema"));
}

#[test]
fn ratios_are_medians_of_rounds_and_bad_rounds_do_not_count() {
    let mut outcome = outcome(Case::SATURATION, 100.0);
    // Without its bad round, the floor is compared in two.
    outcome.samples[2][0] = Sample::failed("it fell over");
    let mut report = report();
    report.rows.clear();
    report.take(outcome);
    let row = &report.rows[0];
    let [ours, nginx, floor] = row.contenders.as_slice() else {
        panic!("three stood there")
    };
    assert_eq!(
        (ours.ratio, nginx.ratio, floor.ratio),
        (None, Some(0.5), Some(2.0))
    );
    assert_eq!(
        (ours.over_floor, nginx.over_floor, floor.over_floor),
        (Some(2.0), Some(4.0), None)
    );
    assert_eq!(
        (ours.rounds_good, nginx.rounds_good, floor.rounds_good),
        (3, 3, 2)
    );
    assert!(page(&report, &[]).contains("it fell over"));
}

#[test]
fn the_page_says_who_where_how_and_what_clients_saw() {
    let page = page(&report(), &["tunnels.svg".to_owned()]);
    for words in [
        "a processor, 2 cores, Linux 6.1",
        "`cargo versus --table`",
        "nginx/1.2",
        "config of Ringway",
        "| 64 tunnels, 64 B | nginx | 3000 ns/message | **0.50** | 4.00 |",
        "48 × Close 1011",
        "3 × 502",
        "broadcast of 1 KiB to 1,000 tunnels",
        "![tunnels](tunnels.svg)",
    ] {
        assert!(page.contains(words), "{words:?} is missing:\n{page}");
    }
}

#[test]
fn every_picture_has_every_proxy_and_only_numbers() {
    let report = report();
    let pictures = pictures(&report);
    let names: Vec<&str> = pictures.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        [
            "tunnels",
            "sizes",
            "in_flight",
            "latency50",
            "latency80",
            "memory",
            "handshakes",
            "broadcast"
        ]
    );
    for (name, picture) in pictures {
        let svg = svg(&picture).unwrap();
        for proxy in NAMES {
            assert!(svg.contains(proxy), "{name} is without {proxy}");
        }
        assert!(
            !svg.contains("NaN") && !svg.contains("inf"),
            "{name}:\n{svg}"
        );
        assert!(svg.contains("prefers-color-scheme: dark"), "{name}");
        let labels: Vec<&str> = match &picture {
            Picture::Chart(chart) => vec![chart.x_label, chart.y_label],
            Picture::Bars(bars) => vec![bars.unit],
        };
        for label in labels {
            assert!(svg.contains(label), "{name} does not say {label:?}");
        }
    }
}

#[test]
fn what_is_no_number_is_in_no_picture() {
    let mut report = report();
    report.rows.clear();
    for value in [f64::NAN, 0.0] {
        report.take(outcome(Case::SATURATION, value));
    }
    for (name, picture) in pictures(&report) {
        let svg = svg(&picture).unwrap();
        assert!(!svg.contains("NaN"), "{name}");
    }
}

#[test]
fn readmes_table_stands_between_its_markers_and_nowhere_else() {
    let table = table(&report());
    assert!(
        table.starts_with("| load | Ringway | nginx 1.2 | ratio |"),
        "{table}"
    );
    assert!(
        table.contains("| 64 tunnels, 64 B | 1,500 ns | 3,000 ns | 0.50 | 2.00 |"),
        "{table}"
    );
    assert!(
        table.contains("`cargo versus --table`, 2026-01-02"),
        "{table}"
    );
    let text = "before\n<!-- versus:start -->\nold\n<!-- versus:end -->\nafter\n";
    let once = replaced(text, &table).unwrap();
    assert!(once.starts_with("before\n") && once.ends_with("\nafter\n") && !once.contains("old"));
    assert_eq!(replaced(&once, &table).unwrap(), once, "twice is once");
    assert!(replaced("no markers", &table).is_err());
    let readme = include_str!("../../README.md");
    assert!(
        replaced(readme, &table).is_ok(),
        "README.md has its markers"
    );
}
