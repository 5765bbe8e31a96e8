//! The contracts of a deployment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::check::Invalid;
use super::{Contract, ContractError, ContractName};

/// The contracts of a deployment, by name.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ContractSet(BTreeMap<ContractName, Arc<Contract>>);

macro_rules! embedded {
    ($($path:literal),+ $(,)?) => {
        [$(($path, include_str!(concat!("../../../../proto/contracts/", $path)))),+]
    };
}

/// Whimbrel's own contracts and samples, in the form in which a deployment's directory is loaded too.
const BUILT_IN: &[(&str, &str)] = &embedded![
    "bitbybit.toml",
    "eightbit.toml",
    "generic.toml",
    "standard.toml",
    "samples/bitbybit/customer.created.json",
    "samples/bitbybit/customer.deleted.json",
    "samples/bitbybit/customer.updated.json",
    "samples/bitbybit/message.received.json",
    "samples/bitbybit/message.status.updated.json",
    "samples/bitbybit/order.created.json",
    "samples/bitbybit/order.updated.json",
    "samples/bitbybit/product.created.json",
    "samples/bitbybit/product.deleted.json",
    "samples/bitbybit/product.updated.json",
    "samples/eightbit/account.billing_updated.json",
    "samples/eightbit/account.usage_threshold.json",
    "samples/eightbit/agent.deployed.json",
    "samples/eightbit/agent.error.json",
    "samples/eightbit/agent.undeployed.json",
    "samples/eightbit/agent.updated.json",
    "samples/eightbit/conversation.created.json",
    "samples/eightbit/conversation.ended.json",
    "samples/eightbit/conversation.escalated.json",
    "samples/eightbit/conversation.rating.json",
    "samples/eightbit/conversation.updated.json",
    "samples/eightbit/message.failed.json",
    "samples/eightbit/message.received.json",
    "samples/eightbit/message.sent.json",
    "samples/eightbit/session.ended.json",
    "samples/eightbit/session.started.json",
    "samples/generic/file.uploaded.json",
    "samples/generic/payment.failed.json",
    "samples/generic/payment.succeeded.json",
    "samples/generic/project.created.json",
    "samples/generic/project.deleted.json",
    "samples/generic/project.updated.json",
    "samples/generic/user.created.json",
    "samples/generic/user.deleted.json",
    "samples/generic/user.updated.json",
];

impl ContractSet {
    /// The four that Whimbrel brings.
    pub fn built_in() -> Self {
        let mut set = Self::default();
        set.add(BUILT_IN.iter().copied()).expect("tests parse every embedded file");
        set
    }

    /// The built-in ones and a deployment's own. Names are paths relative to its directory: `NAME.toml`,
    /// which replaces a built-in contract of that name, and `samples/NAME/TYPE.json`.
    pub fn load<N: AsRef<str>, T: AsRef<str>>(files: impl IntoIterator<Item = (N, T)>) -> Result<Self, ContractError> {
        let mut set = Self::built_in();
        let files: Vec<(N, T)> = files.into_iter().collect();
        set.add(files.iter().map(|(name, text)| (name.as_ref(), text.as_ref())))?;
        Ok(set)
    }

    /// The contract of this name.
    pub fn get(&self, name: &ContractName) -> Option<&Arc<Contract>> {
        self.0.get(name)
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Contract>> {
        self.0.values()
    }

    /// Every retry delay that occurs, shortest first: each needs a tier.
    pub fn distinct_delays(&self) -> Vec<Duration> {
        let mut delays: Vec<Duration> =
            self.iter().flat_map(|contract| contract.retry().delays().iter().copied()).collect();
        delays.sort_unstable();
        delays.dedup();
        delays
    }

    /// Every contract with its delays multiplied; see [`Contract::scaled`].
    pub fn scaled(self, factor: f64) -> Self {
        let scale = |contract: Arc<Contract>| Arc::new(Arc::unwrap_or_clone(contract).scaled(factor));
        Self(self.0.into_iter().map(|(name, contract)| (name, scale(contract))).collect())
    }

    fn add<'a>(&mut self, files: impl Iterator<Item = (&'a str, &'a str)> + Clone) -> Result<(), ContractError> {
        for (file, text) in files.clone().filter(|(file, _)| is_contract(file)) {
            let contract = Contract::parse(file, text)?;
            self.0.insert(contract.name.clone(), Arc::new(contract));
        }
        for (file, text) in files.filter(|(file, _)| !is_contract(file)) {
            self.add_sample(file, text).map_err(|problem| Invalid::at("sample", problem).in_file(file))?;
        }
        Ok(())
    }

    fn add_sample(&mut self, file: &str, text: &str) -> Result<(), String> {
        let path = file.strip_prefix("samples/").and_then(|path| path.strip_suffix(".json"));
        let (name, event_type) = path
            .and_then(|path| path.split_once('/'))
            .ok_or("the file is neither NAME.toml nor samples/NAME/TYPE.json")?;
        let name: ContractName = name.parse().map_err(|error: super::ContractNameError| error.to_string())?;
        let contract = self.0.get_mut(&name).ok_or_else(|| format!("there is no contract `{name}`"))?;
        Arc::make_mut(contract).catalogue.attach(event_type, text)
    }
}

fn is_contract(file: &str) -> bool {
    file.strip_suffix(".toml").is_some()
}

impl<'a> IntoIterator for &'a ContractSet {
    type Item = &'a Arc<Contract>;
    type IntoIter = std::collections::btree_map::Values<'a, ContractName, Arc<Contract>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.values()
    }
}
