//! What every text newtype has beside its constructor.

/// Gives a `struct $name(Box<str>)` its conversions: `as_str`, `Display`, and from and to text. Its own
/// `new(impl Into<Box<str>>) -> Result<Self, $error>` is the one check that every way in passes.
#[macro_export]
macro_rules! text_conversions {
    ($name:ident, $error:ty) => {
        impl $name {
            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = $error;
            fn from_str(text: &str) -> ::std::result::Result<Self, $error> {
                Self::new(text)
            }
        }

        impl ::std::convert::TryFrom<::std::string::String> for $name {
            type Error = $error;
            fn try_from(text: ::std::string::String) -> ::std::result::Result<Self, $error> {
                Self::new(text)
            }
        }

        impl ::std::convert::From<$name> for ::std::string::String {
            fn from(text: $name) -> Self {
                text.0.into()
            }
        }
    };
}
