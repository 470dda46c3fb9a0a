//! Refuses to build when something that holds a secret can be copied or shown.

/// Fails to build when one of these types is `Clone` or `Debug`: then a path to `Probe` is ambiguous.
macro_rules! neither_copied_nor_shown {
    ($($name:ty),+ $(,)?) => {
        const _: () = {
            trait Probe<Kind> {
                const PASSED: () = ();
            }
            struct Copied;
            struct Shown;
            impl<T: ?Sized> Probe<()> for T {}
            impl<T: Clone> Probe<Copied> for T {}
            impl<T: ?Sized + std::fmt::Debug> Probe<Shown> for T {}
            $(const _: () = <$name as Probe<_>>::PASSED;)+
        };
    };
}

pub(super) use neither_copied_nor_shown;
