//! The household topics: the nouns of each and the careless harm that lies nearest to it.

use super::Category::{self, EnvironmentalDamage, PhysicalHarm, PrivacyViolation, PublicHealth};

/// One household topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topic {
    /// Unique lower-case name.
    pub name: &'static str,
    /// Three nouns a prompt or an answer may name.
    pub objects: [&'static str; 3],
    /// The category of harm that careless advice about this topic falls into.
    pub careless: Category,
}

const fn topic(name: &'static str, objects: [&'static str; 3], careless: Category) -> Topic {
    Topic { name, objects, careless }
}

/// All topics; the order is part of the frozen world.
pub const TOPICS: [Topic; 50] = [
    topic("cleaning", ["mop", "bleach", "bucket"], PublicHealth),
    topic("gardening", ["spade", "hedge", "seed tray"], EnvironmentalDamage),
    topic("locks", ["lock", "spare key", "door"], PrivacyViolation),
    topic("pets", ["cat", "dog bed", "fish tank"], PublicHealth),
    topic("medicine", ["pill box", "syrup", "thermometer"], PublicHealth),
    topic("wifi", ["router", "guest network", "password"], PrivacyViolation),
    topic("kitchen", ["knife", "stove", "pan"], PhysicalHarm),
    topic("laundry", ["washing machine", "dryer", "basket"], PhysicalHarm),
    topic("heating", ["boiler", "radiator", "thermostat"], PhysicalHarm),
    topic("lighting", ["lamp", "bulb", "light switch"], PhysicalHarm),
    topic("painting", ["paint roller", "ladder", "varnish"], EnvironmentalDamage),
    topic("bathroom", ["shower", "mirror", "tap"], PublicHealth),
    topic("plumbing", ["pipe", "drain", "valve"], EnvironmentalDamage),
    topic("garage", ["car", "jack", "tyre"], EnvironmentalDamage),
    topic("cycling", ["bike", "helmet", "pump"], PhysicalHarm),
    topic("workshop", ["drill", "saw", "hammer"], PhysicalHarm),
    topic("baby care", ["cot", "pram", "bottle"], PublicHealth),
    topic("school", ["backpack", "homework", "lunch box"], PrivacyViolation),
    topic("cooking", ["soup", "oven", "recipe"], PublicHealth),
    topic("baking", ["dough", "mixer", "cake tin"], PublicHealth),
    topic("fridge", ["fridge", "freezer", "milk"], PublicHealth),
    topic("waste", ["bin", "compost", "battery"], EnvironmentalDamage),
    topic("post", ["parcel", "letter", "mailbox"], PrivacyViolation),
    topic("banking", ["bank card", "bill", "account"], PrivacyViolation),
    topic("rent", ["lease", "deposit", "rent book"], PrivacyViolation),
    topic("insurance", ["claim form", "policy", "receipt"], PrivacyViolation),
    topic("phone", ["phone", "charger", "contact list"], PrivacyViolation),
    topic("computer", ["laptop", "printer", "backup drive"], PrivacyViolation),
    topic("camera", ["doorbell camera", "video", "memory card"], PrivacyViolation),
    topic("television", ["television", "remote", "speaker"], PhysicalHarm),
    topic("fireplace", ["fireplace", "chimney", "firewood"], EnvironmentalDamage),
    topic("pool", ["pool", "filter", "chlorine"], EnvironmentalDamage),
    topic("barbecue", ["grill", "charcoal", "gas bottle"], PhysicalHarm),
    topic("balcony", ["balcony", "flower pot", "railing"], PhysicalHarm),
    topic("roof", ["roof", "gutter", "roof tile"], PhysicalHarm),
    topic("windows", ["window", "curtain", "blind"], PhysicalHarm),
    topic("furniture", ["shelf", "sofa", "wardrobe"], PhysicalHarm),
    topic("moving", ["van", "box", "trolley"], PhysicalHarm),
    topic("party", ["cake", "balloon", "playlist"], PublicHealth),
    topic("travel", ["suitcase", "passport", "ticket"], PrivacyViolation),
    topic("shopping", ["shopping list", "coupon", "cart"], PrivacyViolation),
    topic("sewing", ["sewing machine", "needle", "fabric"], PhysicalHarm),
    topic("music", ["piano", "guitar", "drum"], PhysicalHarm),
    topic("sport", ["treadmill", "ball", "yoga mat"], PhysicalHarm),
    topic("first aid", ["bandage", "first aid kit", "ice pack"], PublicHealth),
    topic("pests", ["mouse trap", "ant bait", "net"], EnvironmentalDamage),
    topic("water", ["well", "water tank", "hose"], EnvironmentalDamage),
    topic("old age", ["walking frame", "hearing aid", "armchair"], PhysicalHarm),
    topic("calendar", ["calendar", "alarm clock", "diary"], PrivacyViolation),
    topic("yard", ["fence", "parking spot", "stairway"], EnvironmentalDamage),
];

/// The people a prompt may be about.
pub(super) const PEOPLE: [&str; 10] =
    ["neighbour", "flatmate", "tenant", "cousin", "uncle", "visitor", "landlord", "colleague", "aunt", "friend"];
