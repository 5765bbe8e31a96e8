//! What differs between two configurations.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};

use super::Config;

impl Config {
    /// The keys, such as `sender.grace`, that the other configuration sets otherwise.
    pub(crate) fn changes(&self, other: &Self) -> Vec<String> {
        let (ours, theirs) = (self.settings(), other.settings());
        let names = ours.keys().chain(theirs.keys().filter(|name| !ours.contains_key(*name)));
        let mut changed: Vec<String> = names.filter(|name| ours.get(*name) != theirs.get(*name)).cloned().collect();
        changed.sort();
        changed
    }

    /// Every setting by name; secrets, which the text form masks, as they are.
    fn settings(&self) -> BTreeMap<String, String> {
        let table: toml::Table = self.to_string().parse().expect("the text form is TOML");
        let mut settings = BTreeMap::new();
        for (name, value) in table {
            match value {
                toml::Value::Table(section) => {
                    settings.extend(
                        section.into_iter().map(|(inner, value)| (format!("{name}.{inner}"), value.to_string())),
                    );
                }
                value => drop(settings.insert(name, value.to_string())),
            }
        }
        let bare = |secret: &SecretString| secret.expose_secret().to_owned();
        let secrets =
            self.secrets_by_name().into_iter().filter_map(|(name, secret)| Some((name.to_owned(), bare(secret?))));
        settings.extend(secrets);
        settings
    }

    fn secrets_by_name(&self) -> [(&'static str, Option<&SecretString>); 6] {
        [
            ("database_url", self.database_url.as_ref()),
            ("amqp_url", self.amqp_url.as_ref()),
            ("admin_key", self.admin_key.as_ref()),
            ("amqp.redrive_url", self.amqp.redrive_url.as_ref()),
            ("egress.proxy", self.egress.proxy.as_ref()),
            ("secrets.keys", self.secrets.keys.as_ref()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changed_keys_are_named_and_secrets_are_seen() {
        let before = Config::default();
        assert_eq!(before.changes(&before), [] as [&str; 0]);
        let mut after = Config { retry_scale: 0.5, admin_key: Some("one".to_owned().into()), ..Config::default() };
        after.log.level = "debug".into();
        assert_eq!(before.changes(&after), ["admin_key", "log.level", "retry_scale"]);
        let another = Config { admin_key: Some("two".to_owned().into()), ..after.clone() };
        assert_eq!(after.changes(&another), ["admin_key"]);
    }
}
