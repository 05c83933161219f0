//! What is pushed arrives as it was written: whatever string it is, and whatever
//! JSON.

use super::*;

#[tokio::test]
async fn a_message_is_passed_on_as_it_came() {
    let server = start().await;
    let token = create(&server, "c").await;
    let mut subscriber = Subscriber::of(&server, "c").await;
    let strings = [
        r#""hello""#,
        r#""""#,
        r#"" ""#,
        r#""\u00e9""#,
        "\"\u{e9}\"",
        r#""a\/b""#,
        r#""a/b""#,
        r#""\"\\\b\f\n\r\t""#,
        r#""\ud83d\ude00 \uD83D\uDE00""#,
        // Half of a character, and one that no text should have.
        r#""\ud800""#,
        r#""\u0000""#,
        "\"\u{7f}\u{2028}\"",
        r#""{\"json\":[1,2]}""#,
        r#""</script>""#,
    ];
    let any = [
        "null",
        "true",
        "false",
        "0",
        "-0",
        "1.50e+3",
        "1e400",
        "12345678901234567890123456789",
        r#""\u00e9""#,
        "[]",
        "{}",
        r#"[ 1 , null,{"a" : []}]"#,
        // In its own order, and with what stands there twice.
        r#"{"b":1,"a":{"\u00e9":"\/"},"b":2}"#,
        "{\"lines\":\r\n[1,\n2]}",
    ];
    // Many write what is not there as null.
    let with_null = [
        (r#""messageJson":null,"message""#, r#""m""#),
        (r#""message":null,"messageJson""#, "7"),
    ];
    for (members, text) in with_null {
        let body = push("c", &token, &format!("{members}:{text}"));
        pushed(&server, "c", body).await;
        let expected = subscriber.pushed(r#""c""#, "c", text);
        assert_eq!(subscriber.hears().await, expected, "{members}");
    }
    let strings = strings.map(|text| ("message", text));
    let any = any.map(|text| ("messageJson", text));
    for (member, text) in strings.into_iter().chain(any) {
        // The blanks around it are not its own.
        let body = push("c", &token, &format!("\"{member}\" : {text}\t"));
        pushed(&server, "c", body).await;
        let expected = subscriber.pushed(r#""c""#, "c", text);
        assert_eq!(subscriber.hears().await, expected, "{member}");
    }
    drop(subscriber);
    server.stop().await;
}

#[tokio::test]
async fn a_channel_is_called_what_it_is_however_it_is_written() {
    let server = start().await;
    let token = create(&server, "caf\u{e9}").await;
    let mut subscriber = Subscriber::of(&server, "caf\u{e9}").await;
    subscriber.asks("SUBSCRIBE", r"caf\u00e9").await;
    let channels = "\"caf\u{e9}\"";
    assert_eq!(subscriber.hears().await, subscriber.acknowledged(channels));
    let body = push(r"c\u0061f\u00e9", &token, r#""message":"m""#);
    pushed(&server, "caf\u{e9}", body).await;
    let expected = subscriber.pushed(channels, "caf\u{e9}", r#""m""#);
    assert_eq!(subscriber.hears().await, expected);
    drop(subscriber);
    server.stop().await;
}

#[tokio::test]
async fn recipients_get_it_if_they_are_subscribed_and_nobody_else_does() {
    let server = start().await;
    let token = create(&server, "c").await;
    let mut everybody = Vec::new();
    for _ in 0..3 {
        everybody.push(Subscriber::of(&server, "c").await);
    }
    let mut outsider = Subscriber::connect(&server).await;
    let name = |subscriber: &Subscriber| format!(r#""{}""#, subscriber.uuid);
    let (first, second) = (name(&everybody[0]), name(&everybody[1]));
    // Recipients -> which of the three hear it
    let cases = [
        (String::new(), &[0, 1, 2][..]),
        (first.clone(), &[0]),
        (format!("{second},{first},{second}"), &[0, 1]),
        (second.to_uppercase(), &[1]),
        (name(&outsider), &[]),
        (format!("{},{first}", name(&outsider)), &[0]),
        (String::new(), &[0, 1, 2]),
    ];
    let mut heard = vec![Vec::new(); 3];
    for (number, (recipients, who)) in cases.iter().enumerate() {
        let message = format!(r#""message":"{number}""#);
        pushed(&server, "c", push_to("c", &token, recipients, &message)).await;
        for who in *who {
            heard[*who].push(number);
        }
    }
    for (subscriber, heard) in everybody.iter_mut().zip(heard) {
        for number in heard {
            let expected = subscriber.pushed(r#""c""#, "c", &format!(r#""{number}""#));
            assert_eq!(subscriber.hears().await, expected);
        }
    }
    // Nothing came first.
    outsider.asks("SUBSCRIBE", "c").await;
    let expected = outsider.acknowledged(r#""c""#);
    assert_eq!(outsider.hears().await, expected);
    drop((everybody, outsider));
    server.stop().await;
}
