//! `listeners`, `advertised.listeners` and the maps around them: which sockets there are, who uses each, and what
//! clients are told to connect to.

use super::endpoint::Endpoint;
use super::error::ConfigError;
use super::keys;
use super::settings::Settings;
use super::source::Warning;

/// What goes on before Kafka's protocol on a listener. Only `Plaintext` works yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecurityProtocol {
    /// Nothing.
    Plaintext,
}

/// A node's listeners, sorted by who connects to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenerMap {
    /// Sockets for Kafka clients and other brokers, in the order of the file. Empty without the broker role.
    pub broker: Vec<Endpoint>,
    /// What clients are told for each of `broker`, in the same order.
    pub advertised: Vec<Endpoint>,
    /// The listener of `broker` that other brokers use.
    pub inter_broker: String,
    /// The first of `controller.listener.names` this node listens on; `None` without the controller role.
    pub controller: Option<Endpoint>,
    /// How others reach that controller listener.
    pub controller_advertised: Option<Endpoint>,
}

/// What the roles ask of the listeners.
pub(super) struct RolesWanted {
    pub broker: bool,
    pub controller: bool,
}

impl ListenerMap {
    /// Sorts out the listeners. `own_host` answers this machine's name, for listeners on all addresses.
    ///
    /// # Errors
    /// One line that says what contradicts what, and what to change.
    pub(super) fn derive(
        settings: &Settings,
        roles: RolesWanted,
        own_host: impl FnOnce() -> String,
        warnings: &mut Vec<Warning>,
    ) -> Result<ListenerMap, ConfigError> {
        let listeners = parse_endpoints(settings, "listeners", &roles)?;
        refuse_repeats(settings, &listeners)?;
        let controller_names: Vec<String> =
            settings.list("controller.listener.names").iter().map(|name| name.to_ascii_uppercase()).collect();
        for listener in &listeners {
            protocol_of(settings, &listener.name, &controller_names)?;
        }
        let (controllers, brokers): (Vec<_>, Vec<_>) =
            listeners.into_iter().partition(|listener| controller_names.contains(&listener.name));
        check_roles(settings, &roles, &controllers, &brokers, &controller_names)?;
        let inter_broker = inter_broker_listener(settings, &brokers, roles.broker)?;
        let told = match settings.is_given("advertised.listeners") {
            true => parse_list(settings, "advertised.listeners")?,
            false => Vec::new(),
        };
        let mut own_host = OwnHost::new(own_host);
        let advertised = brokers.iter().map(|l| advertise(l, &told, &mut own_host)).collect::<Result<Vec<_>, _>>()?;
        check_advertised(settings, &advertised, &told, &controller_names, &brokers)?;
        let controller = controllers.into_iter().next();
        let controller_advertised = controller.as_ref().map(|l| advertise(l, &told, &mut own_host)).transpose()?;
        if let Some(host) = own_host.used() {
            warnings.push(Warning::Assumed(format!(
                "advertised.listeners is not set: clients will be told to connect to {host}; set it if they cannot"
            )));
        }
        Ok(ListenerMap { broker: brokers, advertised, inter_broker, controller, controller_advertised })
    }
}

/// This machine's name, asked for once and only when needed.
struct OwnHost<F> {
    ask: Option<F>,
    answer: Option<String>,
}

impl<F: FnOnce() -> String> OwnHost<F> {
    fn new(ask: F) -> OwnHost<F> {
        OwnHost { ask: Some(ask), answer: None }
    }

    fn get(&mut self) -> String {
        if let Some(ask) = self.ask.take() {
            self.answer = Some(ask());
        }
        self.answer.clone().unwrap_or_default()
    }

    fn used(self) -> Option<String> {
        self.answer
    }
}

fn parse_endpoints(settings: &Settings, key: &str, roles: &RolesWanted) -> Result<Vec<Endpoint>, ConfigError> {
    let listeners = parse_list(settings, key)?;
    if settings.is_given(key) {
        return Ok(listeners);
    }
    // The default names both listeners: keep those the roles have a use for.
    let names = settings.list("controller.listener.names");
    let is_controller = |listener: &Endpoint| names.iter().any(|name| name.eq_ignore_ascii_case(&listener.name));
    Ok(listeners.into_iter().filter(|l| if is_controller(l) { roles.controller } else { roles.broker }).collect())
}

fn parse_list(settings: &Settings, key: &str) -> Result<Vec<Endpoint>, ConfigError> {
    let allowed = "a list of NAME://host:port, as in PLAINTEXT://:9092,CONTROLLER://:9093";
    settings
        .list(key)
        .into_iter()
        .map(|text| Endpoint::parse(text).ok_or_else(|| settings.refuse(key, allowed)))
        .collect()
}

fn refuse_repeats(settings: &Settings, listeners: &[Endpoint]) -> Result<(), ConfigError> {
    for (i, listener) in listeners.iter().enumerate() {
        for earlier in &listeners[..i] {
            if earlier.name == listener.name {
                return Err(settings.refuse("listeners", format!("each name once; {} stands twice", listener.name)));
            }
            if earlier.port == listener.port && listener.port != 0 && earlier.host == listener.host {
                return Err(settings.refuse("listeners", format!("each port once; {} stands twice", listener.port)));
            }
        }
    }
    Ok(())
}

/// The security protocol of a listener, by `listener.security.protocol.map` and Kafka's rules for names not in it.
fn protocol_of(settings: &Settings, name: &str, controllers: &[String]) -> Result<SecurityProtocol, ConfigError> {
    let key = "listener.security.protocol.map";
    let mut protocol = None;
    for entry in keys::split_list(settings.get(key).unwrap_or_default()) {
        let (listener, value) = entry.split_once(':').ok_or_else(|| settings.refuse(key, "a list of NAME:PROTOCOL"))?;
        if listener.trim().eq_ignore_ascii_case(name) {
            protocol = Some(value.trim().to_ascii_uppercase());
        }
    }
    // A controller listener needs no entry as long as nobody wrote a map (KIP-901).
    if protocol.is_none() && controllers.iter().any(|c| c == name) && !settings.is_given(key) {
        return Ok(SecurityProtocol::Plaintext);
    }
    match protocol.as_deref() {
        Some("PLAINTEXT") => Ok(SecurityProtocol::Plaintext),
        Some(other @ ("SSL" | "SASL_PLAINTEXT" | "SASL_SSL")) => Err(ConfigError::Contradiction(format!(
            "listener {name} is mapped to {other}, which this version does not serve yet: map it to PLAINTEXT in {key}"
        ))),
        Some(_) => Err(settings.refuse(key, "PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL for each listener")),
        None => Err(ConfigError::Contradiction(format!(
            "no security protocol is set for listener {name}: add {name}:PLAINTEXT to {key}"
        ))),
    }
}

fn check_roles(
    settings: &Settings,
    roles: &RolesWanted,
    controllers: &[Endpoint],
    brokers: &[Endpoint],
    controller_names: &[String],
) -> Result<(), ConfigError> {
    let names = controller_names.join(",");
    if controller_names.is_empty() {
        return Err(ConfigError::Missing {
            key: "controller.listener.names",
            why: "brokers and controllers talk through it; name a listener, CONTROLLER for one".to_owned(),
        });
    }
    if roles.controller && controllers.is_empty() {
        return Err(settings.refuse(
            "listeners",
            format!("a listener of controller.listener.names ({names}) too, because process.roles has controller"),
        ));
    }
    if !roles.controller && !controllers.is_empty() {
        return Err(settings.refuse(
            "listeners",
            format!("no listener of controller.listener.names ({names}), because process.roles has no controller"),
        ));
    }
    if roles.broker && brokers.is_empty() {
        return Err(settings.refuse("listeners", "a listener for clients, PLAINTEXT://:9092 for one".to_owned()));
    }
    if !roles.broker && !brokers.is_empty() {
        return Err(settings.refuse(
            "listeners",
            format!("only listeners of controller.listener.names ({names}), because process.roles has no broker"),
        ));
    }
    Ok(())
}

fn inter_broker_listener(settings: &Settings, brokers: &[Endpoint], is_broker: bool) -> Result<String, ConfigError> {
    let by_name = settings.is_given("inter.broker.listener.name");
    if by_name && settings.is_given("security.inter.broker.protocol") {
        return Err(ConfigError::Contradiction(
            "inter.broker.listener.name and security.inter.broker.protocol are both set: keep one".to_owned(),
        ));
    }
    let key = if by_name { "inter.broker.listener.name" } else { "security.inter.broker.protocol" };
    let name = settings.get(key).unwrap_or("PLAINTEXT").to_ascii_uppercase();
    if !is_broker || brokers.iter().any(|listener| listener.name == name) {
        return Ok(name);
    }
    match brokers {
        // Kafka refuses; with one listener there is nothing to choose.
        [only] if !settings.is_given(key) => Ok(only.name.clone()),
        _ => {
            let names: Vec<&str> = brokers.iter().map(|l| l.name.as_str()).collect();
            Err(settings
                .refuse("inter.broker.listener.name", format!("one of this node's listeners: {}", names.join(", "))))
        }
    }
}

/// What others are told for one listener: its entry in `advertised.listeners`, else its own host, else the machine's.
fn advertise(
    listener: &Endpoint,
    told: &[Endpoint],
    own_host: &mut OwnHost<impl FnOnce() -> String>,
) -> Result<Endpoint, ConfigError> {
    if let Some(entry) = told.iter().find(|entry| entry.name == listener.name) {
        return Ok(entry.clone());
    }
    match listener.host.as_str() {
        "" => Ok(Endpoint { host: own_host.get(), ..listener.clone() }),
        _ if listener.is_wildcard() => Err(ConfigError::Missing {
            key: "advertised.listeners",
            why: format!(
                "listener {listener} is on all addresses and clients cannot connect to {}; \
                 set advertised.listeners={}://<a name or address they can reach>:{}",
                listener.host, listener.name, listener.port
            ),
        }),
        _ => Ok(listener.clone()),
    }
}

fn check_advertised(
    settings: &Settings,
    advertised: &[Endpoint],
    told: &[Endpoint],
    controller_names: &[String],
    brokers: &[Endpoint],
) -> Result<(), ConfigError> {
    let key = "advertised.listeners";
    for entry in told {
        if entry.is_wildcard() {
            let shown = if entry.host.is_empty() { "an empty host" } else { entry.host.as_str() };
            return Err(settings.refuse(
                key,
                format!(
                    "a name or address clients can connect to for {}; {shown} stands for all addresses",
                    entry.name
                ),
            ));
        }
        let known = brokers.iter().any(|l| l.name == entry.name) || controller_names.contains(&entry.name);
        if !known {
            return Err(settings.refuse(key, format!("only names that stand in listeners; {} does not", entry.name)));
        }
    }
    for (i, entry) in advertised.iter().enumerate() {
        let same = |earlier: &&Endpoint| entry.port != 0 && (&earlier.host, earlier.port) == (&entry.host, entry.port);
        if let Some(earlier) = advertised[..i].iter().find(same) {
            let what =
                format!("an address of its own for each listener; {} and {} share one", earlier.name, entry.name);
            return Err(settings.refuse(key, what));
        }
    }
    Ok(())
}
