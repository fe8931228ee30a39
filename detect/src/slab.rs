//! [`Slab`]: the agents of a shard, in chunks of which an [`Image`] can be taken without copying them.
//!
//! Invariant: an image shows every agent as it was when the image was taken. Whoever changes an agent
//! first saves it for each image that has not read it yet, so taking an image costs no more than
//! visiting the chunks, and what it holds in the end is what changed meanwhile.
//!
//! A chunk is locked for the look at one agent, or by the reader of an image for as long as copying it
//! takes (a quarter of a megabyte): that is the longest that folding waits for a checkpoint.

use std::sync::{Arc, Mutex, MutexGuard};

use crate::agent::Agent;
use crate::pack::{Pack, Unpacker};

/// Agents of a chunk: they take a little less than 256 KiB, a size that allocators have. Of chunks of a
/// megabyte half of each shard's last one would be empty, a twentieth of the memory of a million agents.
const CHUNK: usize = 199;
/// Words with a bit for each of them.
const WORDS: usize = CHUNK.div_ceil(64);

/// Cache lines of an agent that most events look at. It begins in the middle of one or at its start.
const HOT_LINES: usize = (Agent::HOT_BYTES + 32).div_ceil(64);
/// Cache lines of what a chunk is reached through: its lock, and where its agents lie.
const HEAD_LINES: usize = 2;

/// All agents of a shard, by number.
#[derive(Debug, Default)]
pub(crate) struct Slab {
    chunks: Vec<Arc<Mutex<Chunk>>>,
    /// Of each chunk's agents. Only hints are given by it.
    addresses: Vec<usize>,
    len: usize,
    /// Images taken so far: the number of the next.
    images: u64,
}

#[derive(Debug, Default)]
struct Chunk {
    agents: Vec<Agent>,
    /// One for each image that has not read this chunk.
    savings: Vec<Saving>,
}

/// What an image is owed of a chunk.
#[derive(Debug)]
struct Saving {
    image: u64,
    /// Agents that were there.
    len: usize,
    /// By agent, whether it is in `before`.
    is_saved: [u64; WORDS],
    before: Vec<(u16, Agent)>,
}

/// A locked agent.
pub(crate) struct Held<'a> {
    chunk: MutexGuard<'a, Chunk>,
    at: usize,
}

impl Held<'_> {
    pub(crate) fn agent(&self) -> &Agent {
        &self.chunk.agents[self.at]
    }

    /// The agent, to be changed.
    pub(crate) fn agent_mut(&mut self) -> &mut Agent {
        self.chunk.save(self.at);
        &mut self.chunk.agents[self.at]
    }
}

impl Chunk {
    fn save(&mut self, at: usize) {
        for saving in &mut self.savings {
            let (word, bit) = (at / 64, 1 << (at % 64));
            if at < saving.len && saving.is_saved[word] & bit == 0 {
                saving.is_saved[word] |= bit;
                let number = u16::try_from(at).expect("a chunk has fewer than 2^16");
                saving.before.push((number, self.agents[at].clone()));
            }
        }
    }
}

impl Slab {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes that the chunks take.
    pub(crate) fn bytes(&self) -> usize {
        self.chunks.len() * CHUNK * size_of::<Agent>()
    }

    /// Tells the processor that an agent is about to be fetched: where its pages are is looked up. For
    /// several agents one after the other these look-ups take place at once, while each [`Self::fetch`]
    /// would wait for its own.
    pub(crate) fn announce(&self, at: usize) {
        let agent = self.address(at);
        crate::prefetch::lines(agent, 1);
        crate::prefetch::lines(agent + Agent::HOT_BYTES - 1, 1);
        crate::prefetch::lines(Arc::as_ptr(&self.chunks[at / CHUNK]).addr(), HEAD_LINES);
    }

    /// Tells the processor that an agent is about to be looked at.
    pub(crate) fn fetch(&self, at: usize) {
        crate::prefetch::lines(self.address(at), HOT_LINES);
    }

    fn address(&self, at: usize) -> usize {
        self.addresses[at / CHUNK] + at % CHUNK * size_of::<Agent>()
    }

    /// Whether the agent of this number has this key.
    pub(crate) fn is(&self, at: usize, key: u64) -> bool {
        self.hold_if(at, key).is_some()
    }

    /// The agent of this number, if it has this key.
    pub(crate) fn hold_if(&self, at: usize, key: u64) -> Option<Held<'_>> {
        Some(self.hold(at)).filter(|held| held.agent().key == key)
    }

    pub(crate) fn hold(&self, at: usize) -> Held<'_> {
        Held { chunk: lock(&self.chunks[at / CHUNK]), at: at % CHUNK }
    }

    pub(crate) fn push(&mut self, agent: Agent) {
        if self.len.is_multiple_of(CHUNK) {
            let agents = Vec::<Agent>::with_capacity(CHUNK);
            self.addresses.push(agents.as_ptr().addr());
            self.chunks.push(Arc::new(Mutex::new(Chunk { agents, savings: Vec::new() })));
        }
        let last = self.chunks.last().expect("one was made if there was none");
        lock(last).agents.push(agent);
        self.len += 1;
    }

    /// All agents as they are now.
    pub(crate) fn image(&mut self) -> Image {
        let number = self.images;
        self.images += 1;
        for chunk in &self.chunks {
            let mut chunk = lock(chunk);
            let len = chunk.agents.len();
            let is_saved = [0; WORDS];
            chunk.savings.push(Saving { image: number, len, is_saved, before: Vec::new() });
        }
        Image { chunks: self.chunks.clone(), number, len: self.len }
    }

    /// The keys of all agents, in their order.
    pub(crate) fn keys(&self) -> Vec<u64> {
        let mut keys = Vec::with_capacity(self.len);
        for chunk in &self.chunks {
            keys.extend(lock(chunk).agents.iter().map(|agent| agent.key));
        }
        keys
    }

    pub(crate) fn unpack(input: &mut Unpacker<'_>) -> Option<Self> {
        let len = usize::try_from(u64::unpack(input)?).ok()?;
        let mut slab = Self::default();
        for _ in 0..len {
            slab.push(Agent::unpack(input)?);
        }
        Some(slab)
    }
}

impl PartialEq for Slab {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len
            && self.chunks.iter().zip(&other.chunks).all(|(one, other)| {
                Arc::ptr_eq(one, other) || lock(one).agents == lock(other).agents
            })
    }
}

/// The agents of a shard as they were.
#[derive(Debug)]
pub(crate) struct Image {
    /// Those not read yet, last first once reading begins.
    chunks: Vec<Arc<Mutex<Chunk>>>,
    number: u64,
    len: usize,
}

impl Image {
    /// Writes them as [`Slab::unpack`] reads them; what was saved for this image is let go.
    pub(crate) fn pack(mut self, out: &mut Vec<u8>) {
        (self.len as u64).pack(out);
        out.reserve(self.len * size_of::<Agent>());
        for chunk in std::mem::take(&mut self.chunks) {
            let mut chunk = lock(&chunk);
            let saving =
                chunk.take_saving(self.number).expect("an image is owed each of its chunks");
            let mut saved: [Option<&Agent>; CHUNK] = [None; CHUNK];
            for (at, agent) in &saving.before {
                saved[usize::from(*at)] = Some(agent);
            }
            for (agent, saved) in chunk.agents[..saving.len].iter().zip(saved) {
                saved.unwrap_or(agent).pack(out);
            }
        }
    }
}

impl Drop for Image {
    /// An image that nobody read is owed nothing any more.
    fn drop(&mut self) {
        for chunk in &self.chunks {
            lock(chunk).take_saving(self.number);
        }
    }
}

impl Chunk {
    fn take_saving(&mut self, image: u64) -> Option<Saving> {
        let at = self.savings.iter().position(|saving| saving.image == image)?;
        Some(self.savings.swap_remove(at))
    }
}

fn lock(chunk: &Mutex<Chunk>) -> MutexGuard<'_, Chunk> {
    chunk.lock().expect("who panics with a chunk locked takes the process down")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slab(agents: u64) -> Slab {
        let mut slab = Slab::default();
        for key in 0..agents {
            slab.push(Agent::new(key, 7));
        }
        slab
    }

    fn read(image: Image) -> Slab {
        let mut bytes = Vec::new();
        image.pack(&mut bytes);
        Slab::unpack(&mut Unpacker::new(&bytes)).unwrap()
    }

    fn touch(slab: &Slab, at: usize) {
        slab.hold(at).agent_mut().events += 1;
    }

    #[test]
    fn images_show_the_agents_as_they_were_whatever_happens_after() {
        let mut slab = slab(2_500);
        let first = slab.image();
        for at in (0..2_500).step_by(7) {
            touch(&slab, at);
        }
        let second = slab.image();
        for at in (0..2_500).step_by(3) {
            touch(&slab, at);
            touch(&slab, at);
        }
        slab.push(Agent::new(9_999, 7));

        let (first, second) = (read(first), read(second));

        let events = |slab: &Slab, at: usize| slab.hold(at).agent().events;
        assert_eq!([first.len(), second.len(), slab.len()], [2_500, 2_500, 2_501]);
        for at in 0..2_500 {
            let early = u32::from(at % 7 == 0);
            assert_eq!(events(&first, at), 0);
            assert_eq!(events(&second, at), early);
            assert_eq!(events(&slab, at), early + 2 * u32::from(at % 3 == 0));
        }
    }

    #[test]
    fn an_image_that_was_read_or_thrown_away_is_owed_nothing() {
        let mut slab = slab(1_500);
        drop(slab.image());
        read(slab.image());

        touch(&slab, 3);

        assert!(slab.chunks.iter().all(|chunk| lock(chunk).savings.is_empty()));
    }

    /// Agents that are kept twice, for images that have not read them.
    fn kept_twice(slab: &Slab) -> usize {
        let savings =
            |chunk: &Chunk| chunk.savings.iter().map(|one| one.before.len()).sum::<usize>();
        slab.chunks.iter().map(|chunk| savings(&lock(chunk))).sum::<usize>()
    }

    #[test]
    fn an_image_copies_nobody_and_an_event_no_agent_but_its_own_and_that_once() {
        let mut slab = slab(20 * CHUNK as u64 + 7);

        let image = slab.image();

        assert_eq!(kept_twice(&slab), 0);
        for (events, at) in (0..slab.len()).step_by(3).enumerate() {
            for _ in 0..2 {
                touch(&slab, at);
                assert_eq!(kept_twice(&slab), events + 1);
            }
        }
        read(image);
        assert_eq!(kept_twice(&slab), 0);
    }

    #[test]
    fn who_reads_an_image_has_one_chunk_at_a_time_to_itself() {
        let mut slab = slab(3 * CHUNK as u64);
        let image = slab.image();
        let in_the_way = slab.hold(2 * CHUNK);
        std::thread::scope(|scope| {
            let reading = scope.spawn(|| read(image));
            // The reader is through with two chunks and waits for the third.
            let is_read = |chunk: &Arc<Mutex<Chunk>>| {
                chunk.try_lock().is_ok_and(|chunk| chunk.savings.is_empty())
            };
            let patience = std::time::Instant::now() + std::time::Duration::from_secs(20);
            while !slab.chunks[..2].iter().all(is_read) {
                assert!(std::time::Instant::now() < patience, "folding would wait for the reader");
                std::thread::yield_now();
            }

            touch(&slab, 0);
            drop(in_the_way);

            let image = reading.join().unwrap();
            assert_eq!((image.hold(0).agent().events, slab.hold(0).agent().events), (0, 1));
        });
    }
}
