//! Which instructions unmask: chosen once at start, then a byte that is passed around.
#![expect(
    unsafe_code,
    reason = "calls into functions that need instructions which not every processor has"
)]

#[cfg(target_arch = "aarch64")]
use super::neon;
use super::{InvalidUtf8, Utf8Stream, ascii, scalar};
#[cfg(target_arch = "x86_64")]
use super::{x86, x86_text};

/// The kernels of one instruction set that this processor has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernels {
    /// Invariant: this processor has it, because only `available` and `scalar` fill it.
    set: Set,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Sse2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    Scalar,
}

impl Kernels {
    /// The fastest ones that this processor has. Asks the processor, so ask once and keep the answer.
    pub fn best() -> Self {
        Self::available().next().unwrap_or(Self::scalar())
    }

    /// Those that need nothing.
    pub const fn scalar() -> Self {
        Self { set: Set::Scalar }
    }

    /// All that this processor has, the fastest first and the plain ones last.
    pub fn available() -> impl Iterator<Item = Self> {
        ALL.iter()
            .copied()
            .filter(|set| set.is_here())
            .map(|set| Self { set })
    }

    /// What `doctor` shows: `avx512`, `avx2`, `sse2`, `neon` or `scalar`.
    pub const fn name(self) -> &'static str {
        match self.set {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Set::Sse2 => "sse2",
            #[cfg(target_arch = "aarch64")]
            Set::Neon => "neon",
            Set::Scalar => "scalar",
        }
    }

    /// Masks or unmasks in place; the same exclusive-or does both (RFC 6455 section 5.3).
    ///
    /// `phase` counts the payload bytes that went before, and only its remainder by four matters: cutting
    /// a payload elsewhere never changes the bytes. Inlined, like its sister, so that a call costs what one of
    /// `memcpy` does.
    #[inline]
    pub fn unmask_in_place(self, bytes: &mut [u8], key: [u8; 4], phase: usize) {
        let key = scalar::turned(key, phase);
        match self.set {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => {
                // SAFETY: the set was chosen, so this processor has AVX-512 F and BW, and AVX2.
                unsafe { x86::avx512_in_place(bytes, key) }
            }
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => {
                // SAFETY: the set was chosen, so this processor has AVX2.
                unsafe { x86::avx2_in_place(bytes, key) }
            }
            #[cfg(target_arch = "x86_64")]
            Set::Sse2 => x86::sse2_in_place(bytes, key),
            #[cfg(target_arch = "aarch64")]
            Set::Neon => {
                // SAFETY: the set was chosen, so this processor has NEON.
                unsafe { neon::in_place(bytes, key) }
            }
            Set::Scalar => scalar::unmask_in_place(bytes, key),
        }
    }

    /// Writes `source`, masked or unmasked, to `out`, and leaves `source` as it is. Phase as above.
    ///
    /// # Panics
    /// If the two are not equally long.
    #[inline]
    pub fn unmask_into(self, source: &[u8], key: [u8; 4], phase: usize, out: &mut [u8]) {
        assert_eq!(
            source.len(),
            out.len(),
            "invariant: the room for a payload is as long as the payload"
        );
        let key = scalar::turned(key, phase);
        match self.set {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => {
                // SAFETY: the set was chosen, so this processor has AVX-512 F and BW, and AVX2; the lengths are equal.
                unsafe { x86::avx512_into(source, key, out) }
            }
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => {
                // SAFETY: the set was chosen, so this processor has AVX2; the lengths are equal.
                unsafe { x86::avx2_into(source, key, out) }
            }
            #[cfg(target_arch = "x86_64")]
            Set::Sse2 => {
                // SAFETY: the lengths are equal.
                unsafe { x86::sse2_into(source, key, out) }
            }
            #[cfg(target_arch = "aarch64")]
            Set::Neon => {
                // SAFETY: the set was chosen, so this processor has NEON; the lengths are equal.
                unsafe { neon::into(source, key, out) }
            }
            Set::Scalar => scalar::unmask_into(source, key, out),
        }
    }
}

impl Kernels {
    /// Whether all bytes are ASCII once they are unmasked; without a key, as they are. Phase as above.
    pub fn is_ascii(self, bytes: &[u8], key: [u8; 4], phase: usize) -> bool {
        let key = scalar::turned(key, phase);
        match self.set {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 | Set::Avx2 => {
                // SAFETY: the set was chosen, so this processor has AVX2: it is asked for with AVX-512 too.
                unsafe { x86::avx2_is_ascii(bytes, key) }
            }
            // Compiled for what every processor of the architecture has.
            _ => ascii::is_ascii(bytes, key),
        }
    }

    /// Feeds `bytes`, unmasked, to `text` in one pass that writes nothing; nothing happens, and `None` comes back,
    /// where the set has no kernel for that. Phase as above.
    #[inline]
    pub(super) fn check_text(
        self,
        bytes: &[u8],
        key: [u8; 4],
        phase: usize,
        text: &mut Utf8Stream,
    ) -> Option<Result<(), InvalidUtf8>> {
        match self.set {
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => {
                let is_text = |whole: &[u8], key| {
                    // SAFETY: the set was chosen, so this processor has AVX-512 F, BW and VBMI.
                    unsafe { x86_text::avx512_is_text(whole, key) }
                };
                Some(text.feed_masked(bytes, scalar::turned(key, phase), is_text))
            }
            _ => None,
        }
    }
}

impl Default for Kernels {
    fn default() -> Self {
        Self::best()
    }
}

impl Set {
    fn is_here(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                // Those without VBMI also slow down while they use registers so wide.
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vbmi")
                    && is_x86_feature_detected!("avx2")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            // Every x86-64 has it.
            #[cfg(target_arch = "x86_64")]
            Self::Sse2 => true,
            #[cfg(target_arch = "aarch64")]
            Self::Neon => std::arch::is_aarch64_feature_detected!("neon"),
            Self::Scalar => true,
        }
    }
}

/// The fastest first.
const ALL: &[Set] = &[
    #[cfg(target_arch = "x86_64")]
    Set::Avx512,
    #[cfg(target_arch = "x86_64")]
    Set::Avx2,
    #[cfg(target_arch = "x86_64")]
    Set::Sse2,
    #[cfg(target_arch = "aarch64")]
    Set::Neon,
    Set::Scalar,
];
