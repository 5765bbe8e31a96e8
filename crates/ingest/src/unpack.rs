//! Messages → events: a pack of events becomes as many messages, each as if it had come alone.

use bytes::Bytes;
use whimbrel_core::intake::Format;
use whimbrel_core::message::{PACK_EVENTS_MAX, PROTOBUF, decode, v1};
use whimbrel_core::port::Received;
use whimbrel_core::problem::Rejection;

/// Messages in groups of about `events_max` events, a pack's events each by itself. A group ends with a whole message,
/// so that what it came in can be acked. A pack that cannot be read stays as it is: reading it says why.
pub(crate) fn unpack(messages: Vec<Received>, events_max: usize) -> Vec<Vec<Received>> {
    let mut groups = Vec::new();
    let mut group = Vec::new();
    for message in messages {
        let pack = (Format::of(&message.content_type) == Format::Events).then(|| events(message.payload.clone()));
        match pack {
            Some(Ok(events)) => group.extend(events.into_iter().map(|payload| Received {
                payload,
                content_type: PROTOBUF.to_owned(),
                ..message.clone()
            })),
            Some(Err(_)) | None => group.push(message),
        }
        if group.len() >= events_max {
            groups.push(std::mem::take(&mut group));
        }
    }
    if !group.is_empty() {
        groups.push(group);
    }
    groups
}

/// The events of a pack, as slices of it.
///
/// # Errors
/// When it is none that can be taken.
pub(crate) fn events(pack: Bytes) -> Result<Vec<Bytes>, Rejection> {
    let malformed = |sentence: String| Rejection::new("malformed", "", sentence);
    let pack: v1::Events = decode("Events", pack).map_err(|error| malformed(error.to_string()))?;
    match pack.events.len() {
        1..=PACK_EVENTS_MAX => Ok(pack.events),
        other => Err(malformed(format!("a pack has 1 to {PACK_EVENTS_MAX} events, this one has {other}"))),
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_core::message::{PROTOBUF_EVENTS, encode_events};
    use whimbrel_core::port::Tag;

    use super::*;

    fn message(number: u64, content_type: &str, payload: Bytes) -> Received {
        Received {
            tag: Tag { epoch: 1, number },
            payload,
            content_type: content_type.to_owned(),
            message_id: format!("m{number}"),
            kind: String::new(),
            timestamp: None,
            user_id: "api".to_owned(),
            headers: Vec::new(),
            redeliveries: 1,
        }
    }

    fn pack_of(count: usize) -> Bytes {
        encode_events((0..count).map(|index| Bytes::from(vec![u8::try_from(index % 256).expect("below"); 3])).collect())
    }

    #[test]
    fn a_packs_events_are_messages_of_their_own_and_keep_what_it_bore() {
        let groups = unpack(vec![message(7, PROTOBUF_EVENTS, pack_of(3))], 256);
        let [group] = &groups[..] else { panic!("one group: {groups:?}") };
        assert_eq!(group.len(), 3);
        for (index, event) in group.iter().enumerate() {
            assert_eq!(event.payload[..], [u8::try_from(index).expect("small"); 3]);
            assert_eq!((event.content_type.as_str(), event.message_id.as_str()), (PROTOBUF, "m7"));
            assert_eq!((event.user_id.as_str(), event.redeliveries, event.tag.number), ("api", 1, 7));
        }
    }

    #[test]
    fn groups_end_with_whole_messages() {
        let mut messages: Vec<Received> = (0..3).map(|tag| message(tag, PROTOBUF_EVENTS, pack_of(40))).collect();
        messages.extend((3..90).map(|tag| message(tag, "application/json", Bytes::new())));
        let tags = |group: &Vec<Received>| group.iter().map(|message| message.tag.number).collect::<Vec<_>>();
        let groups: Vec<Vec<u64>> = unpack(messages, 64).iter().map(tags).collect();
        assert_eq!(groups.iter().map(Vec::len).collect::<Vec<_>>(), [80, 64, 63]);
        assert_eq!((groups[0].last(), groups[1].first(), groups[2].last()), (Some(&1), Some(&2), Some(&89)));
        assert!(unpack(Vec::new(), 64).is_empty());
    }

    #[test]
    fn what_is_no_pack_stays_as_it_is_and_says_why() {
        let bad = [
            (PROTOBUF_EVENTS, Bytes::from_static(b"\xff\xff"), "not a Events message"),
            (PROTOBUF_EVENTS, Bytes::new(), "this one has 0"),
            (PROTOBUF_EVENTS, pack_of(PACK_EVENTS_MAX + 1), "this one has 65"),
        ];
        for (content_type, payload, sentence) in bad {
            let groups = unpack(vec![message(1, content_type, payload.clone())], 256);
            assert_eq!((groups.len(), groups[0].len(), &groups[0][0].payload), (1, 1, &payload));
            let rejection = events(groups[0][0].payload.clone()).expect_err("no pack");
            assert!(rejection.message.contains(sentence), "{}", rejection.message);
        }
    }
}
