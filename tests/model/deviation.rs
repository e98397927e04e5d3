//! pure: rules that a model can be told to get wrong, so that the comparison shows it would see it.

/// One rule changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deviation {
    /// An order opens at `openBy` too.
    OpenByInclusive,
    /// A delegate opens at its expiry too.
    DelegateExpiryInclusive,
    /// What returns of a cap that a delegate spent counts back to its allowance.
    AllowanceGrowsBack,
    /// Credit is spent with any settler.
    CreditWithAnySettler,
    /// What is left of credit goes to the free balance of `refundTo`.
    CreditReturnedAsFree,
    /// A rejection counts at the window's end too.
    RejectionAtWindowEnd,
    /// Units that were rejected stay reserved.
    RejectedUnitsStayTaken,
    /// A lot may settle in the last second of its window.
    SettleOneSecondEarly,
    /// A lot may lapse a second before its grace is over.
    LapseOneSecondEarly,
    /// An approval brings the date of a lapse forward.
    ApprovalHastensLapse,
    /// A lot that lapsed may be committed again.
    LapsedLotCommitsAgain,
    /// Lots and vouchers are taken at the job's end too.
    WorkAtTheEnd,
    /// Anyone may close a job a second before its end.
    CloseOneSecondEarly,
    /// A fee is rounded up.
    FeeRoundedUp,
    /// A voucher pays its total, not what it adds to the last one.
    VoucherPaysItsTotal,
    /// A pause may last a second longer.
    PauseOneSecondLonger,
    /// The rest between two pauses is a second shorter.
    PauseRestOneSecondShort,
    /// A top-up is taken while the guardian's pause lasts.
    TopUpWhilePaused,
}

impl Deviation {
    pub const ALL: [Self; 18] = [
        Self::OpenByInclusive,
        Self::DelegateExpiryInclusive,
        Self::AllowanceGrowsBack,
        Self::CreditWithAnySettler,
        Self::CreditReturnedAsFree,
        Self::RejectionAtWindowEnd,
        Self::RejectedUnitsStayTaken,
        Self::SettleOneSecondEarly,
        Self::LapseOneSecondEarly,
        Self::ApprovalHastensLapse,
        Self::LapsedLotCommitsAgain,
        Self::WorkAtTheEnd,
        Self::CloseOneSecondEarly,
        Self::FeeRoundedUp,
        Self::VoucherPaysItsTotal,
        Self::PauseOneSecondLonger,
        Self::PauseRestOneSecondShort,
        Self::TopUpWhilePaused,
    ];
}
