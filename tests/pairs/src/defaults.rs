//! Functions for `#[serde(default = "…")]`.

macro_rules! defaults {
    ($($name:ident $ty:ty = $value:expr),* $(,)?) => {$(
        #[doc = concat!("A `", stringify!($ty), "`.")]
        #[must_use]
        pub fn $name() -> $ty {
            $value
        }
    )*};
}

defaults! {
    default_i8 i8 = -7, default_i16 i16 = -7, default_i32 i32 = -7, default_i64 i64 = -7,
    default_u8 u8 = 7, default_u16 u16 = 7, default_u32 u32 = 7, default_u64 u64 = 7,
    default_f32 f32 = 0.25, default_f64 f64 = 0.25, default_bool bool = true, default_char char = 'd',
    default_string String = "d".to_owned(),
}
