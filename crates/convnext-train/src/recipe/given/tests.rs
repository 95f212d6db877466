use super::*;

fn given() -> Given {
    Given {
        flags: vec![Setting::new("training.learning_rate", 0.25, "--lr")],
        settings: vec!["training.epochs=3".into(), "training.base_learning_rate=1".into()],
        weights: vec![Setting::new("masking.ratio", 0.75, "the weights")],
        ..Given::default()
    }
}

fn rule(key: &'static str) -> Rule {
    Rule { key, value: "9".into(), why: "so".into() }
}

#[test]
fn the_order_is_default_weights_set_flag() {
    let rules = ["training.epochs", "from_scratch.learning_rate", "training.batch_size"].map(rule);
    let Decided { settings, reasons } = given().decide(None, &rules);
    let expected = [
        "training.epochs=9",
        "from_scratch.learning_rate=9",
        "training.batch_size=9",
        "masking.ratio=0.75",
        "training.epochs=3",
        "training.base_learning_rate=1",
        "training.learning_rate=0.25",
    ];
    assert_eq!(settings, expected);
    let expected = [
        "training.batch_size = 9: so",
        "masking.ratio = 0.75: from the weights",
        "training.epochs: 3 from --set",
        "training.learning_rate: 0.25 from --lr",
    ];
    assert_eq!(reasons, expected);
}

#[test]
fn a_length_in_steps_takes_the_place_of_one_in_epochs() {
    let settings = vec!["training.steps=9".into(), "training.warmup_steps=1".into()];
    let given = Given { settings, ..Given::default() };
    let rules = ["training.epochs", "from_scratch.warmup_epochs", "training.betas"].map(rule);
    let reasons = given.decide(None, &rules).reasons;
    let expected =
        ["training.betas = 9: so", "training.steps: 9 from --set", "training.warmup_steps: 1 from --set"];
    assert_eq!(reasons, expected);
    assert!(given.is_set("training.epochs") && !given.is_set("training.curve.milestones.epochs"));
}

#[test]
fn what_a_named_recipe_states_goes_before_the_weights() {
    let stated: Table = toml::from_str("[masking]\nratio = 0.6").unwrap();
    let silent: Table = toml::from_str("[masking]\nnormalize_target = true").unwrap();
    let ratio =
        |recipe| given().decide(Some(recipe), &[]).settings.contains(&"masking.ratio=0.75".to_owned());
    assert!(!ratio(&stated) && ratio(&silent));
    let reasons = given().decide(Some(&stated), &[]).reasons;
    assert!(reasons[0].contains("not 0.75 as in the weights"), "{reasons:?}");
}

#[test]
fn the_same_value_as_that_of_the_weights_needs_no_reason() {
    let mentions = |given: Given, named: Option<&str>| {
        let weights = vec![Setting::new("masking.ratio", 0.75, "the weights")];
        let named = named.map(|text| toml::from_str::<Table>(text).unwrap());
        let Decided { reasons, .. } = Given { weights, ..given }.decide(named.as_ref(), &[]);
        reasons.iter().any(|reason| reason.contains("not 0.75"))
    };
    let flag = |value: f64| Given {
        flags: vec![Setting::new("masking.ratio", value, "--mask-ratio")],
        ..Given::default()
    };
    let set = |value: &str| Given { settings: vec![format!("masking.ratio = {value}")], ..Given::default() };
    assert!(mentions(flag(0.5), None) && !mentions(flag(0.75), None));
    assert!(mentions(set("0.5"), None) && !mentions(set("0.750"), None));
    let recipe = |value: &str| format!("[masking]\nratio = {value}");
    assert!(mentions(Given::default(), Some(&recipe("0.6"))));
    assert!(!mentions(Given::default(), Some(&recipe("0.75"))));
    // The flag decides, whatever the recipe says.
    assert!(mentions(flag(0.5), Some(&recipe("0.75"))));
    assert!(!mentions(flag(0.75), Some(&recipe("0.6"))));
}

#[test]
fn settings_of_the_other_start_are_refused_by_name() {
    let of = |setting: &str| Given { settings: vec![setting.into()], ..Given::default() };
    let from_scratch = of("from_scratch.learning_rate=1");
    let message = from_scratch.check_effect("auto", InitFrom::Pretrained, false).unwrap_err().to_string();
    assert!(message.contains("from_scratch.learning_rate") && message.contains("--init"), "{message}");
    assert!(from_scratch.check_effect("auto", InitFrom::Scratch, false).is_ok());
    assert!(of("from_weights.head_init=1").check_effect("auto", InitFrom::Scratch, false).is_err());
    for setting in ["regularization.drop_path=0.1", "from_weights.layer_decay.rate=0.9"] {
        let check = |head_only| of(setting).check_effect("auto", InitFrom::Pretrained, head_only);
        assert!(check(false).is_ok() && check(true).is_err(), "{setting}");
    }
}

#[test]
fn a_size_may_be_asked_for_in_two_ways() {
    let key = InputRecipe::IMAGE_SIZE;
    let set = Given { settings: vec![format!("{key}=64")], ..Given::default() };
    assert_eq!((set.asked_size(), Given::default().asked_size()), (Some(64.into()), None));
    let flags = vec![Setting::of_size(ImageSize::from([96, 128]), "--image-size")];
    let both = Given { flags, ..set };
    assert_eq!(both.asked_size(), Some([96, 128].into()));
}
