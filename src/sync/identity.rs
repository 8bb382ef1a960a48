//! Identity versions: the deployment counts every `Authenticate`, the client only its own.
//!
//! The law: of the first `s` that the deployment has taken, the client is shown how many were its own. The number never falls, starts at
//! nothing, and a jump over several is a jump over the client's among them (rules 14 to 16).

use std::collections::VecDeque;

use super::close::CloseCause;

/// Who spoke in an `Authenticate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// The client.
    Client,
    /// The proxy, for the client's cookie.
    Proxy,
}

/// Which party a failure of an `Authenticate` is laid on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// What the client said.
    Client,
    /// What the proxy said.
    Proxy,
    /// One of the two; the deployment does not say which.
    Either,
}

/// The two countings, and what is between them.
#[derive(Debug, Default)]
pub struct Identities {
    /// Taken by the deployment, as far as its transitions have told.
    taken: u32,
    /// Of those, the client's.
    shown: u32,
    /// Who spoke last of those; nobody at the start.
    last_taken: Option<Speaker>,
    /// Sent and not told of yet, in their order.
    under_way: VecDeque<Speaker>,
}

impl Identities {
    /// Notes that the client speaks, and gives the version that the deployment expects to hear of.
    ///
    /// # Errors
    ///
    /// [`CloseCause::BadVersion`]: it is not the client's turn at that number; the deployment would end the connection too.
    pub fn client_speaks(&mut self, base_version: u32) -> Result<u32, CloseCause> {
        if base_version != self.said_by_client() {
            return Err(CloseCause::BadVersion);
        }
        Ok(self.speak(Speaker::Client))
    }

    /// Notes that the proxy speaks, and gives the version that the deployment expects to hear of.
    pub fn proxy_speaks(&mut self) -> u32 {
        self.speak(Speaker::Proxy)
    }

    /// The version that the client was shown last.
    pub fn shown(&self) -> u32 {
        self.shown
    }

    /// The client's number for the deployment's version `taken`, from which on earlier ones are forgotten.
    ///
    /// # Errors
    ///
    /// [`CloseCause::UpstreamUnreadable`]: a version from before, or one that nobody has asked for.
    pub fn advance(&mut self, taken: u32) -> Result<u32, CloseCause> {
        let steps = taken.checked_sub(self.taken).ok_or(CloseCause::UpstreamUnreadable)?;
        if steps as usize > self.under_way.len() {
            return Err(CloseCause::UpstreamUnreadable);
        }
        for speaker in self.under_way.drain(..steps as usize) {
            self.shown += u32::from(speaker == Speaker::Client);
            self.last_taken = Some(speaker);
        }
        if self.under_way.is_empty() {
            self.under_way = VecDeque::new();
        }
        self.taken = taken;
        Ok(self.shown)
    }

    /// Who is to blame that a token was refused just now: one of those under way was.
    pub fn blame_refusal(&self) -> Blame {
        blame(self.under_way.iter().copied())
    }

    /// Who is to blame that an identity has ended: the one that was taken last, or one under way that was taken since.
    pub fn blame_expiry(&self) -> Blame {
        blame(self.last_taken.into_iter().chain(self.under_way.iter().copied()))
    }

    fn said_by_client(&self) -> u32 {
        let under_way = self.under_way.iter().filter(|speaker| **speaker == Speaker::Client).count();
        self.shown.saturating_add(u32::try_from(under_way).unwrap_or(u32::MAX))
    }

    fn speak(&mut self, speaker: Speaker) -> u32 {
        let version = self.taken.saturating_add(u32::try_from(self.under_way.len()).unwrap_or(u32::MAX));
        self.under_way.push_back(speaker);
        version
    }
}

fn blame(speakers: impl Iterator<Item = Speaker>) -> Blame {
    let (mut client, mut proxy) = (false, false);
    for speaker in speakers {
        match speaker {
            Speaker::Client => client = true,
            Speaker::Proxy => proxy = true,
        }
    }
    match (client, proxy) {
        (true, true) => Blame::Either,
        (false, true) => Blame::Proxy,
        (_, false) => Blame::Client,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Blame, CloseCause, Identities, Speaker};

    #[test]
    fn rule_14_an_injected_one_is_not_shown() {
        let mut identities = Identities::default();
        assert_eq!(identities.proxy_speaks(), 0);
        assert_eq!(identities.advance(1), Ok(0));
        assert_eq!(identities.client_speaks(0), Ok(1));
        assert_eq!(identities.client_speaks(1), Ok(2));
        assert_eq!(identities.proxy_speaks(), 3);
        assert_eq!(identities.advance(4), Ok(2));
        assert_eq!(identities.client_speaks(1), Err(CloseCause::BadVersion));
        assert_eq!(identities.client_speaks(2), Ok(4));
    }

    #[test]
    fn a_version_that_nobody_asked_for_or_from_before_is_not_believed() {
        let mut identities = Identities::default();
        assert_eq!(identities.advance(1), Err(CloseCause::UpstreamUnreadable));
        identities.proxy_speaks();
        identities.proxy_speaks();
        assert_eq!(identities.advance(2), Ok(0));
        assert_eq!(identities.advance(1), Err(CloseCause::UpstreamUnreadable));
        assert_eq!(identities.advance(3), Err(CloseCause::UpstreamUnreadable));
    }

    #[test]
    fn rule_25_blame_falls_on_whoever_spoke() {
        let mut identities = Identities::default();
        identities.proxy_speaks();
        assert_eq!(identities.blame_refusal(), Blame::Proxy);
        identities.client_speaks(0).unwrap();
        assert_eq!(identities.blame_refusal(), Blame::Either);
        identities.advance(1).unwrap();
        assert_eq!(identities.blame_refusal(), Blame::Client);
        assert_eq!(identities.blame_expiry(), Blame::Either);
        identities.advance(2).unwrap();
        assert_eq!(identities.blame_expiry(), Blame::Client);
        identities.proxy_speaks();
        identities.advance(3).unwrap();
        assert_eq!(identities.blame_expiry(), Blame::Proxy);
    }

    proptest! {
        /// The law, against the list itself.
        #[test]
        fn the_client_is_shown_how_many_were_its_own(
            speakers in prop::collection::vec(prop::bool::ANY, 0..40),
            jumps in prop::collection::vec(0..5_u32, 0..40),
        ) {
            let mut identities = Identities::default();
            let mut own = 0;
            for (index, is_client) in speakers.iter().enumerate() {
                let version = if *is_client {
                    own += 1;
                    identities.client_speaks(own - 1).unwrap()
                } else {
                    identities.proxy_speaks()
                };
                prop_assert_eq!(version as usize, index);
            }
            let mut taken = 0;
            for jump in jumps {
                taken = (taken + jump).min(u32::try_from(speakers.len()).unwrap());
                let expected = speakers[..taken as usize].iter().filter(|is_client| **is_client).count();
                prop_assert_eq!(identities.advance(taken).unwrap() as usize, expected);
            }
        }
    }

    #[test]
    fn what_was_said_is_under_way_until_it_is_told_of() {
        let mut identities = Identities::default();
        assert!(identities.under_way.is_empty());
        identities.client_speaks(0).unwrap();
        assert_eq!(identities.under_way.front(), Some(&Speaker::Client));
    }
}
