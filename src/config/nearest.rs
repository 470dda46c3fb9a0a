//! Finds the word that was most likely meant by a misspelt one.

/// The known word that was most likely meant: at most two letters away, and no more than a third of it.
pub(super) fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    const COMPARED_BYTES_MAX: usize = 64;
    if word.len() > COMPARED_BYTES_MAX {
        return None;
    }
    let near = known.map(|known| (distance(word.as_bytes(), known.as_bytes()), known));
    near.filter(|&(distance, known)| distance <= 2 && 3 * distance <= known.len())
        .min_by_key(|&(distance, _)| distance)
        .map(|(_, known)| known)
}

/// How many letters must be added, taken away, replaced or swapped with their neighbour to make one word from
/// the other (Levenshtein and Damerau).
fn distance(one: &[u8], other: &[u8]) -> usize {
    let mut rows = vec![vec![0; other.len() + 1]; one.len() + 1];
    for line in 0..=one.len() {
        for column in 0..=other.len() {
            rows[line][column] = if line == 0 || column == 0 {
                line + column
            } else {
                let changed = usize::from(one[line - 1] != other[column - 1]);
                let replaced = rows[line - 1][column - 1] + changed;
                let moved = rows[line - 1][column].min(rows[line][column - 1]) + 1;
                let swapped = line > 1
                    && column > 1
                    && one[line - 1] == other[column - 2]
                    && one[line - 2] == other[column - 1];
                let swap = if swapped {
                    rows[line - 2][column - 2] + 1
                } else {
                    usize::MAX
                };
                replaced.min(moved).min(swap)
            };
        }
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_the_one_meant() {
        let known = || ["backlog", "bind", "keepalive"].into_iter();
        assert_eq!(nearest("backlogs", known()), Some("backlog"));
        assert_eq!(nearest("keepalvie", known()), Some("keepalive"));
        assert_eq!(nearest("bnd", known()), Some("bind"));
        assert_eq!(nearest("bnid", known()), Some("bind"));
        assert_eq!(nearest("timeout", known()), None);
        assert_eq!(nearest(&"b".repeat(100), known()), None);
    }
}
