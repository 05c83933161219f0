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
    assert!(text(&key, &key).ends_with("key.pem: holds no certificate"));
    assert!(text(&cert, &cert).ends_with("cert.pem: holds no private key"));
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
