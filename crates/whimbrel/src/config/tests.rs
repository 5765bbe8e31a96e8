use super::*;

fn from_toml(text: &str) -> Result<Config, config::ConfigError> {
    config::Config::builder().add_source(File::from_str(text, FileFormat::Toml)).build()?.try_deserialize()
}

fn from_vars(vars: &[(&str, &str)]) -> Config {
    let vars = vars.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let built = config::Config::builder().add_source(env::source(vars)).build().expect("variables are a source");
    built.try_deserialize().expect("the variables hold a configuration")
}

#[test]
fn the_example_holds_every_default() {
    let example = from_toml(include_str!("../../../../whimbrel.example.toml")).expect("the example can be read");
    assert_eq!(example.to_string(), Config::default().to_string());
}

#[test]
fn rule_32_an_unknown_key_of_a_file_is_refused_by_name() {
    let error = from_toml("lisen = \"127.0.0.1:1\"").expect_err("a typing error");
    assert!(error.to_string().contains("lisen"), "{error}");
}

#[test]
fn rule_32_variables_are_read_and_unknown_ones_only_warn() {
    let config = from_vars(&[
        ("WHIMBREL_LISTEN", "0.0.0.0:1"),
        ("WHIMBREL_PORT", "tcp://10.0.0.1:80"),
        ("WHIMBREL_EGRESS__ALLOW_HTTP", "true"),
        ("WHIMBREL_EGRESS__ALLOW_NETWORKS", "127.0.0.0/8, fd00::/8"),
        ("WHIMBREL_RETRY_SCALE", "0.01"),
        ("WHIMBREL_ADMIN_KEY", "007"),
        ("WHIMBREL_RETENTION", "7d"),
    ]);
    assert_eq!(config.listen, SocketAddr::from(([0, 0, 0, 0], 1)));
    assert!(config.egress.allow_http);
    assert_eq!(config.egress.allow_networks.len(), 2);
    assert!((config.retry_scale - 0.01).abs() < f64::EPSILON);
    assert_eq!(config.retention, Duration::from_hours(7 * 24));
    let key = config.admin_key.map(|key| secrecy::ExposeSecret::expose_secret(&key).to_owned());
    assert_eq!(key.as_deref(), Some("007"), "a secret is taken as text");
}

#[test]
fn every_key_of_the_example_is_known_as_a_variable() {
    let table: toml::Table = include_str!("../../../../whimbrel.example.toml").parse().expect("the example is TOML");
    for (key, value) in table {
        let names = match value {
            toml::Value::Table(section) => section.keys().map(|inner| format!("{key}.{inner}")).collect(),
            _ => vec![key],
        };
        for name in names {
            assert!(env::KEYS.contains(&name.as_str()), "{name}");
        }
    }
}

#[test]
fn one_url_alone_is_an_error_that_says_so() {
    let config = Config { amqp_url: Some("amqp://localhost".to_owned().into()), ..Config::default() };
    let Err(error) = config.distributed() else { panic!("half an engine") };
    assert!(error.to_string().contains("database_url and amqp_url go together"), "{error}");
}

#[test]
fn secrets_are_masked() {
    let config = Config { admin_key: Some("whk_hidden".to_owned().into()), ..Config::default() };
    assert!(!config.to_string().contains("hidden"));
    assert!(config.to_string().contains("admin_key = \"********\""));
}
