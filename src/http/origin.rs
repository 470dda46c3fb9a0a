//! Which Origins a route accepts (security rule 5).

/// The Origins of one route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginRules {
    entries: Vec<String>,
    allow_missing: bool,
    allow_null: bool,
}

impl OriginRules {
    /// Rules from the entries of the configuration.
    pub fn new(entries: &[String], allow_missing: bool, allow_null: bool) -> Result<Self, String> {
        if let Some(bad) = entries.iter().find(|entry| !entry.contains("://")) {
            return Err(format!(
                "expected an origin such as https://example.com, found {bad:?}"
            ));
        }
        Ok(Self {
            entries: entries.to_vec(),
            allow_missing,
            allow_null,
        })
    }

    /// Whether a request with this Origin may pass.
    pub fn allows(&self, origin: Option<&[u8]>) -> bool {
        match origin {
            None => self.allow_missing,
            Some(b"null") => self.allow_null,
            Some(origin) => self.entries.iter().any(|entry| entry.as_bytes() == origin),
        }
    }
}
