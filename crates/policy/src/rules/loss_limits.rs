use trading::SizeFactor;

/// Where the watchdog's ladder has its rungs for an account, in basis points of its unit value, from
/// the window's first value or its highest, and from the high-water mark. No rule of the vault's reads
/// them: they stand here because they are measured with the rest, and what follows from them comes
/// back in the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LossLimits {
    /// Loss within a UTC day, and within any 24 hours, at which people are told.
    pub daily_bps: u16,
    /// Loss within an ISO week, and within any 168 hours, at which sizes shrink.
    pub weekly_bps: u16,
    /// Loss within a month, and within any 30 days, at which new risk ends.
    pub monthly_bps: u16,
    /// Loss from the high-water mark at which everything ends and keys are revoked.
    pub drawdown_bps: u16,
    /// What limits on size are multiplied with after the weekly loss.
    pub weekly_size_factor: SizeFactor,
}
