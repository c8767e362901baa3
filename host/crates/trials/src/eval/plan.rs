//! Which rows are run, each with the bundle that makes it.

use super::{EvalOptions, adjusted::with_manifest, contestants::ALWAYS_REFUSE, recipe, smollm2};
use crate::TrialError;
use inferenceguard_bundle::{Bundle, Manifest};
use inferenceguard_catalog::{bundles, embedded};
use inferenceguard_eval::Row;
use inferenceguard_host::{OWN_METHOD, methods::Methods};
use inferenceguard_sandbox::{Sandbox, SettingValue};
use std::collections::BTreeMap;

/// Stands for every method.
const ALL: &str = "all";
/// The setting that holds the multiplier: the weight of a unit of cost.
const LAMBDA: &str = "lambda";
/// The setting of the steering that names its network, and the network that it opens by default.
const NETWORK: &str = "network";
const VALUE: &str = "value";

/// A row as the options ask for it. `None` takes the value of the bundle.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wish {
    pub(super) method: String,
    pub(super) n: Option<u32>,
    pub(super) lambda: Option<f64>,
    pub(super) budget: Option<f64>,
}

/// A row and its bundle.
pub(super) struct Planned {
    pub(super) row: Row,
    pub(super) bundle: Bundle,
}

/// Whether a row whose bundle lacks a part is skipped instead of an error.
pub(super) fn may_skip(options: &EvalOptions) -> bool {
    options.recipe.is_some() || options.methods.iter().any(|method| method == ALL)
}

/// The rows that the options ask for, in order. `manifests` are those of the models' bundles.
pub(super) fn wishes(options: &EvalOptions, manifests: &[&Manifest]) -> Result<Vec<Wish>, TrialError> {
    match options.recipe {
        Some(recipe) if recipe.is_papers() => return Ok(recipe::rows(recipe, options.choice.n)),
        Some(_) => return Ok(smollm2::rows(options.choice.n)),
        None => {}
    }
    let methods = methods(&options.methods, manifests)?;
    let budgets: Vec<Option<f64>> = or_none(&options.budgets);
    let ns = if options.ns.is_empty() { vec![options.choice.n] } else { or_none(&options.ns) };
    let mut wishes: Vec<Wish> = Vec::new();
    for &budget in &budgets {
        for (method, &n) in methods.iter().flat_map(|method| ns.iter().map(move |n| (method, n))) {
            let n = number(n, method, manifests)?;
            let wish = Wish { method: method.clone(), n, lambda: None, budget };
            let all = if wish.is_weighted() { wish.with_lambdas(&options.lambdas) } else { vec![wish] };
            for wish in all {
                if !wishes.contains(&wish) {
                    wishes.push(wish);
                }
            }
        }
    }
    Ok(wishes)
}

impl Wish {
    /// Whether a multiplier weighs its costs at test time; RE-Control's is in its network.
    pub(super) fn is_weighted(&self) -> bool {
        self.method.ends_with("+lagrangian") && weighs_costs(&self.method)
    }

    /// The same row with each of these multipliers; itself if there are none.
    pub(super) fn with_lambdas(&self, lambdas: &[f64]) -> Vec<Self> {
        if lambdas.is_empty() {
            return vec![self.clone()];
        }
        lambdas.iter().map(|lambda| Self { lambda: Some(*lambda), ..self.clone() }).collect()
    }
}

/// Whether the method's policy weighs a safety cost.
pub(super) fn weighs_costs(method: &str) -> bool {
    let weighs = method.ends_with("+lagrangian") || method.ends_with("+cost");
    // A policy of a bundle need not have the settings that these methods have in the paper's table.
    weighs && Methods::default().find(method).is_ok_and(|method| method.candidates.is_some())
}

fn or_none<T: Copy>(values: &[T]) -> Vec<Option<T>> {
    if values.is_empty() { vec![None] } else { values.iter().copied().map(Some).collect() }
}

fn methods(given: &[String], manifests: &[&Manifest]) -> Result<Vec<String>, TrialError> {
    let tables: Vec<Methods> = manifests.iter().map(|manifest| Methods::of(manifest)).collect();
    let known = |name: &str| tables.iter().try_for_each(|table| table.find(name).map(drop));
    let shared = || tables.iter().flat_map(Methods::names).filter(|name| known(name).is_ok());
    let mut names = Vec::<String>::new();
    for name in given {
        match name.as_str() {
            ALL => names.extend(std::iter::once(ALWAYS_REFUSE).chain(shared()).map(str::to_owned)),
            ALWAYS_REFUSE | OWN_METHOD => names.push(name.clone()),
            other => {
                known(other).map_err(|error| TrialError::Methods(Box::new(error)))?;
                names.push(name.clone());
            }
        }
    }
    let mut seen = Vec::new();
    names.retain(|name| {
        !seen.contains(name) && {
            seen.push(name.clone());
            true
        }
    });
    if names.is_empty() {
        return Err(TrialError::NoMethods);
    }
    Ok(names)
}

/// The number of candidates of a row: none if the method always considers one, whatever the bundle.
fn number(n: Option<u32>, method: &str, manifests: &[&Manifest]) -> Result<Option<u32>, TrialError> {
    let Some(n) = n else { return Ok(None) };
    let settings = manifests.iter().map(|manifest| setting_of_n(manifest, method));
    let settings = settings.collect::<Result<Vec<_>, _>>()?;
    Ok(settings.iter().any(Option::is_some).then_some(n))
}

/// The setting that holds a method's number of candidates in this bundle.
fn setting_of_n(manifest: &Manifest, method: &str) -> Result<Option<String>, TrialError> {
    if method == ALWAYS_REFUSE {
        return Ok(None);
    }
    Ok(bundles::candidates_setting(manifest, method)?)
}

/// Sets a setting of a method's policy.
pub(super) fn set(manifest: &mut Manifest, method: &str, name: &str, value: SettingValue) {
    let settings = match method {
        OWN_METHOD => &mut manifest.policy.settings,
        _ => &mut manifest.methods.entry(method.to_owned()).or_default().settings,
    };
    settings.insert(name.to_owned(), value);
}

/// The rows with their bundles, for one model.
pub(super) fn planned(bundle: &Bundle, sandbox: &Sandbox, wishes: &[Wish]) -> Result<Vec<Planned>, TrialError> {
    let mut planned = wishes.iter().map(|wish| plan((bundle, sandbox), wish)).collect::<Result<Vec<_>, _>>()?;
    let labels = labels(&planned);
    planned.iter_mut().zip(labels).for_each(|(one, label)| one.row.label = label);
    Ok(planned)
}

fn plan((own, sandbox): (&Bundle, &Sandbox), wish: &Wish) -> Result<Planned, TrialError> {
    let mut manifest = own.manifest().clone();
    let first = manifest.constraints.first_mut().ok_or(TrialError::NoConstraint { bundle: "the bundle" })?;
    first.budget = wish.budget.unwrap_or(first.budget);
    let budget = first.budget;
    if let Some(n) = wish.n
        && let Some(setting) = setting_of_n(&manifest, &wish.method)?
    {
        set(&mut manifest, &wish.method, &setting, SettingValue::Integer(n.into()));
    }
    if let Some(lambda) = wish.lambda {
        set(&mut manifest, &wish.method, LAMBDA, SettingValue::Number(lambda));
    }
    let bundle = with_manifest(own, &manifest)?;
    let settings = effective(&bundle, sandbox, &wish.method)?;
    // Without a number of its own a row may have a policy whose setting nothing names.
    let n = setting_of_n(bundle.manifest(), &wish.method).ok().flatten().and_then(|setting| settings.get(&setting));
    let lambda = settings.get(LAMBDA).filter(|_| wish.method.ends_with("+lagrangian"));
    let row = Row {
        label: String::new(),
        method: wish.method.clone(),
        n: n.and_then(|n| serde_json::from_value(n.clone()).ok()),
        lambda: lambda.and_then(serde_json::Value::as_f64),
        budget,
        settings,
    };
    Ok(Planned { row, bundle })
}

/// Why the row of a recipe would not do what its name says.
pub(super) fn idle(options: &EvalOptions, method: &str, bundle: &Bundle) -> Option<&'static str> {
    let gives_reward = bundle.manifest().task.is_some();
    let recipe = options.recipe.filter(|recipe| !recipe.is_papers());
    recipe.and_then(|_| smollm2::without_reward(method, gives_reward))
}

/// Which part of the row's method a bundle lacks, as far as the bundle alone shows.
pub(super) fn lacks(row: &Row, bundle: &Bundle) -> Option<String> {
    let (table, manifest) = (Methods::of(bundle.manifest()), bundle.manifest());
    if table.find(&row.method).is_ok_and(|method| method.critic) && manifest.critic.is_none() {
        return Some("the bundle has no critic".to_owned());
    }
    let steering = table.steering(bundle, &row.method).ok()??;
    let network = match steering.settings.get(NETWORK) {
        Some(SettingValue::Text(name)) => name.as_str(),
        _ => VALUE,
    };
    (!manifest.networks.contains_key(network)).then(|| format!("the bundle has no network `{network}`"))
}

/// Every setting of a method's policy, defaults included.
fn effective(
    bundle: &Bundle,
    sandbox: &Sandbox,
    method: &str,
) -> Result<BTreeMap<String, serde_json::Value>, TrialError> {
    let manifest = bundle.manifest();
    let part = match method {
        ALWAYS_REFUSE => return Ok(BTreeMap::new()),
        OWN_METHOD => Methods::own_policy(bundle),
        _ => Methods::of(manifest).policy(bundle, method)?,
    };
    let file = part.file.as_deref().and_then(|file| bundle.file(file));
    let bytes = file.or_else(|| embedded::component(&part.component)).unwrap_or_default();
    let description = sandbox.load("policy", bytes)?.description().clone();
    let mut settings: BTreeMap<String, SettingValue> =
        description.settings.into_iter().map(|setting| (setting.name, setting.default)).collect();
    settings.extend(part.settings);
    Ok(settings
        .into_iter()
        .map(|(name, value)| Ok((name, serde_json::to_value(value)?)))
        .collect::<Result<_, serde_json::Error>>()?)
}

/// The method's name, with every value that differs from other rows of the same method.
fn labels(planned: &[Planned]) -> Vec<String> {
    let label = |one: &Planned| {
        let row = &one.row;
        let twins = || planned.iter().map(|other| &other.row).filter(|other| other.method == row.method);
        let mut label = row.method.clone();
        if let Some(n) = row.n.filter(|_| twins().any(|other| other.n != row.n)) {
            label += &format!(" n={n}");
        }
        if let Some(lambda) = row.lambda.filter(|_| twins().any(|other| other.lambda != row.lambda)) {
            label += &format!(" λ={lambda}");
        }
        if twins().any(|other| other.budget != row.budget) {
            label += &format!(" d={}", row.budget);
        }
        label
    };
    planned.iter().map(label).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(more: &str) -> Manifest {
        Manifest::parse(&format!("{}\n{more}", embedded::MANIFEST)).unwrap()
    }

    fn listed(given: &str, manifests: &[&Manifest]) -> Result<Vec<String>, TrialError> {
        methods(&[given.to_owned()], manifests)
    }

    #[test]
    fn methods_of_bundles_are_rows_and_all_are_those_of_every_bundle() {
        let (plain, own) = (with(""), with("[methods.mine]\npolicy = \"mine.wasm\"\ncandidates = \"width\"\n"));
        assert_eq!(listed("mine", &[&own]).unwrap(), ["mine"]);
        assert!(listed("mine", &[&own, &plain]).is_err() && listed("mine", &[&plain]).is_err());
        let all = |manifests: &[&Manifest]| listed(ALL, manifests).unwrap();
        assert_eq!((all(&[&plain]).len(), all(&[&own]).len()), (19, 20));
        assert_eq!(all(&[&own, &plain]), all(&[&plain]));
    }

    #[test]
    fn a_number_of_candidates_goes_to_the_setting_that_the_bundle_names() {
        let mut own = with("[methods.mine]\npolicy = \"mine.wasm\"\ncandidates = \"width\"\n");
        assert_eq!(number(Some(4), "mine", &[&own]).unwrap(), Some(4));
        assert_eq!((number(Some(4), "base", &[&own]).unwrap(), number(None, "mine", &[&own]).unwrap()), (None, None));
        assert_eq!(number(Some(4), ALWAYS_REFUSE, &[&own]).unwrap(), None);
        let setting = setting_of_n(&own, "mine").unwrap().unwrap();
        set(&mut own, "mine", &setting, SettingValue::Integer(4));
        assert_eq!(own.methods["mine"].settings["width"], SettingValue::Integer(4));
        let unnamed = with("[methods.mine]\npolicy = \"mine.wasm\"\n");
        assert!(number(Some(4), "mine", &[&unnamed]).is_err() && number(None, "mine", &[&unnamed]).is_ok());
    }

    #[test]
    fn settings_of_the_bundles_own_policy_are_in_its_own_table() {
        let mut manifest = with("");
        set(&mut manifest, OWN_METHOD, "n", SettingValue::Integer(4));
        assert_eq!(manifest.policy.settings["n"], SettingValue::Integer(4));
        assert!(!manifest.methods.contains_key(OWN_METHOD));
    }
}
