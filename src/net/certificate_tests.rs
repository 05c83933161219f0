//! Tests of certificate files.

use super::*;

fn pair(dir: &Path) -> (PathBuf, PathBuf) {
    (dir.join(CERT_FILE), dir.join(KEY_FILE))
}

#[test]
fn the_first_use_makes_a_pair_and_the_second_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("not/there/yet");
    let now = Utc::now();
    let made = load_or_make(&dir, now).unwrap();
    assert!(made.ours);
    assert!(made.not_after > now + TimeDelta::days(390));
    let (cert, key) = pair(&dir);
    let before = fs::read(&cert).unwrap();
    load_or_make(&dir, now).unwrap();
    assert_eq!(fs::read(&cert).unwrap(), before);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 2, "no draft is left");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(&key).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let der = made.key.cert[0].clone();
    let (_, leaf) = X509Certificate::from_der(&der).unwrap();
    let names = leaf.subject_alternative_name().unwrap().unwrap();
    let names = format!("{:?}", names.value.general_names);
    assert!(names.contains("localhost"), "{names}");
    assert!(names.contains("[127, 0, 0, 1]"), "{names}");
}

#[test]
fn a_pair_near_its_end_is_renewed() {
    let dir = tempfile::tempdir().unwrap();
    let made = load_or_make(dir.path(), Utc::now()).unwrap();
    let later = made.not_after - TimeDelta::days(RENEW_DAYS) + TimeDelta::seconds(1);
    assert!(made.is_due(later));
    let renewed = load_or_make(dir.path(), later).unwrap();
    assert!(renewed.not_after > made.not_after);
    assert!(!renewed.is_due(later));
}

#[test]
fn a_certificate_of_somebody_else_is_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let key = KeyPair::generate().unwrap();
    let cert = CertificateParams::new(vec!["a.example".to_owned()])
        .unwrap()
        .self_signed(&key)
        .unwrap();
    write(&dir.path().join(CERT_FILE), &cert.pem(), 0o644).unwrap();
    write(&dir.path().join(KEY_FILE), &key.serialize_pem(), 0o600).unwrap();
    let far = DateTime::from_timestamp(100_000_000_000, 0).unwrap();
    let loaded = load_or_make(dir.path(), far).unwrap();
    assert!(!loaded.ours && !loaded.is_due(far));
}

#[test]
fn errors_name_the_file_and_what_is_wrong() {
    let one = tempfile::tempdir().unwrap();
    let two = tempfile::tempdir().unwrap();
    load_or_make(one.path(), Utc::now()).unwrap();
    load_or_make(two.path(), Utc::now()).unwrap();
    let (cert, key) = pair(one.path());
    let (_, other) = pair(two.path());

    let text = |cert: &Path, key: &Path| load(cert, key).unwrap_err().to_string();
    let mismatch = load(&cert, &other).unwrap_err();
    assert!(matches!(mismatch, TlsError::Mismatch { .. }), "{mismatch}");
    assert!(mismatch.to_string().contains(&other.display().to_string()));
    let swapped = "are certificate and key swapped?";
    for (cert, key, said) in [
        (
            &key,
            &key,
            "key.pem: holds a private key and no certificate",
        ),
        (
            &cert,
            &cert,
            "cert.pem: holds a certificate and no private key",
        ),
        (
            &key,
            &cert,
            "key.pem: holds a private key and no certificate",
        ),
    ] {
        let error = text(cert, key);
        assert!(error.contains(said) && error.ends_with(swapped), "{error}");
    }
    let marked = one.path().join("marked.pem");
    fs::write(
        &marked,
        [b"\xef\xbb\xbf", &fs::read(&key).unwrap()[..]].concat(),
    )
    .unwrap();
    let error = text(&cert, &marked);
    assert!(
        error.contains("marked.pem: begins with a byte order mark"),
        "{error}"
    );
    let der = one.path().join("cert.der");
    let certificate = load(&cert, &key).unwrap();
    fs::write(&der, &certificate.key.cert[0]).unwrap();
    assert!(text(&der, &key).contains("cert.der: is binary (DER"));
    let gone = one.path().join("gone.pem");
    assert!(text(&gone, &key).contains("gone.pem"));
    let bad = one.path().join("bad.pem");
    fs::write(
        &bad,
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    assert!(text(&bad, &key).contains("bad.pem"));

    fs::remove_file(&key).unwrap();
    let half = load_or_make(one.path(), Utc::now())
        .unwrap_err()
        .to_string();
    assert!(half.contains("key.pem is missing"), "{half}");
}

/// A name, its key, and the parameters of its certificate.
fn party(name: &str) -> (KeyPair, CertificateParams) {
    let mut params = CertificateParams::new(vec![format!("{name}.example")]).unwrap();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    (KeyPair::generate().unwrap(), params)
}

#[test]
fn a_chain_in_the_wrong_order_is_refused() {
    let [root, middle, leaf, other] = ["root", "middle", "leaf", "other"].map(party);
    let by = |party: &(KeyPair, CertificateParams), issuer: &(KeyPair, CertificateParams)| {
        let issuer = rcgen::Issuer::from_params(&issuer.1, &issuer.0);
        party.1.signed_by(&party.0, &issuer).unwrap().pem()
    };
    let r = root.1.self_signed(&root.0).unwrap().pem();
    let o = other.1.self_signed(&other.0).unwrap().pem();
    let (m, l) = (by(&middle, &root), by(&leaf, &middle));
    // The same root, signed by another one as well.
    let crossed = by(&root, &other);
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = pair(dir.path());
    fs::write(&key, leaf.0.serialize_pem()).unwrap();
    let pem_of = |letter| match letter {
        'l' => &l,
        'm' => &m,
        'r' => &r,
        'x' => &crossed,
        _ => &o,
    };
    for (chain, is_ordered) in [
        ("l", true),
        ("lm", true),
        ("lmr", true),
        ("llm", true),
        ("lmxr", true),
        ("lmo", true),
        ("lo", true),
        ("ml", false),
        ("rml", false),
        ("rlm", false),
        ("lrm", false),
        ("lom", false),
    ] {
        let text: String = chain
            .chars()
            .map(|letter| pem_of(letter).as_str())
            .collect();
        fs::write(&cert, text).unwrap();
        let error = load(&cert, &key).err().map(|error| error.to_string());
        let wrong = "cert.pem: the certificates are in the wrong order";
        let is_refused = error.as_ref().is_some_and(|error| error.contains(wrong));
        assert_eq!(is_refused, !is_ordered, "{chain}: {error:?}");
        assert_eq!(error.is_none(), is_ordered, "{chain}: {error:?}");
    }
}

#[test]
fn a_certificate_whose_time_is_over_or_has_not_begun_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let made = load_or_make(dir.path(), Utc::now()).unwrap();
    let second = TimeDelta::seconds(1);
    for (now, expected) in [
        (made.not_before - second, Some("is not valid before")),
        (made.not_before, None),
        (made.not_after, None),
        (made.not_after + second, Some("expired on")),
    ] {
        let found = made.untimely(now);
        let is_it = |word: &str| found.as_ref().is_some_and(|found| found.contains(word));
        assert!(expected.map_or(found.is_none(), is_it), "{now}: {found:?}");
    }
}
