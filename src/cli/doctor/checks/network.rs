//! One network card: its queues, who takes its interrupts, and which memory it is next to.

use std::collections::BTreeSet;

use super::{Finding, Scene, listed};
use crate::cli::doctor::tuning::Script;
use crate::sys::host::Card;

pub(super) fn examine(scene: &Scene<'_>, card: &Card) -> Vec<Finding> {
    let mut findings = vec![
        queues(scene, card),
        moved(scene, card),
        interrupts(scene, card),
    ];
    findings.extend(node(scene, card));
    findings
}

fn queues(scene: &Scene<'_>, card: &Card) -> Finding {
    let workers = scene.cores.len();
    Finding::ok(
        &format!("{} queues", card.name),
        card.queues.to_string(),
        format!("{workers}, one for each worker"),
    )
    .because("the processors without a queue wait for those that have one")
    .or_warn(card.queues >= workers, || scene.apply_to(Script::Nic, card))
}

/// Moving packets to other processors helps a card with one queue, and costs one with many.
fn moved(scene: &Scene<'_>, card: &Card) -> Finding {
    let good = card.moved_queues == 0 || card.queues < scene.cores.len();
    Finding::ok(
        &format!("{} RPS", card.name),
        match card.moved_queues {
            0 => "off".to_owned(),
            count => format!("on for {count} of {} queues", card.queues),
        },
        "off, where the card has a queue for each worker",
    )
    .because("every packet would cross to another processor, by an interrupt of its own")
    .or_warn(good, || scene.apply_to(Script::Nic, card))
}

/// Each worker's processor should take interrupts of the card, and no other should.
fn interrupts(scene: &Scene<'_>, card: &Card) -> Finding {
    let taken: BTreeSet<u16> = card
        .interrupts
        .iter()
        .flat_map(|interrupt| interrupt.cpus.iter().copied())
        .collect();
    let idle: Vec<u16> = scene.cores.difference(&taken).copied().collect();
    // A card with fewer interrupts than there are workers cannot reach each of them.
    let can = card.interrupts.len() >= scene.cores.len();
    let found = if taken.is_empty() {
        "none to be seen".to_owned()
    } else {
        format!("{} on processors {}", card.interrupts.len(), listed(&taken))
    };
    Finding::ok(
        &format!("{} interrupts", card.name),
        found,
        format!("some on each worker's processor ({})", listed(&scene.cores)),
    )
    .because("a packet that comes in where its worker runs finds it in the nearest cache")
    .or_warn(taken.is_empty() || idle.is_empty() || !can, || {
        scene.apply_to(Script::Irq, card)
    })
}

/// Only where there is more than one node.
fn node(scene: &Scene<'_>, card: &Card) -> Option<Finding> {
    let nodes = &scene.host.nodes;
    let near = nodes.iter().find(|node| Some(node.number) == card.node)?;
    if nodes.len() < 2 {
        return None;
    }
    let far: Vec<u16> = scene
        .cores
        .iter()
        .copied()
        .filter(|core| !near.cpus.contains(core))
        .collect();
    let found = if far.is_empty() {
        format!("node {}, as all workers", near.number)
    } else {
        format!(
            "node {}; workers {} are elsewhere",
            near.number,
            listed(&far)
        )
    };
    let finding = Finding::ok(
        &format!("{} node", card.name),
        found,
        format!("workers on {}", listed(&near.cpus)),
    )
    .because("every packet would cross from one node's memory to the other's")
    .or_warn(far.is_empty(), || {
        format!(
            "{}   # and workers.cores = [{}]",
            scene.apply_to(Script::Numa, card),
            listed(&near.cpus)
        )
    });
    Some(finding)
}
