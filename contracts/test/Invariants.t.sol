// SPDX-License-Identifier: MIT OR Apache-2.0
// What stays true whatever anybody does, in any order, at any time.
pragma solidity 0.8.37;

import {Campaign} from "./campaign/Campaign.sol";

// Checked after every call of one campaign, by folding the events of that call (campaign/Fold*.sol)
// and by a model of the rules (campaign/Model.sol); what compares storage, at the end of each run.
//
// I1  The escrow holds what it owes: free, credit, and what jobs have not released; and donations.
// I2  A job's money is released, pending or remaining; nothing remains once it is closed.
// I3  A paid unit never clears, a reserved one only by rejection or lapse; a lot commits once.
// I4  The payments of a job, to nodes, fee and burn, add up to what it released.
// I5  Nothing lowers an account or pays a node without the consents of rule 1.
// I6  After its dates anyone ends every job and lot from the logs alone, and all money leaves.
// I7  Credit in accounts and jobs is what was paid in for it; what returns is what was neither paid
//     nor pending, credit first, to the payer.
// I8  Sequence numbers of accounts, jobs and offices rise by exactly 1 per event.
// I9  What the events tell is what is stored: accounts, jobs, lots, delegates, offices.
// I10 Fee and burn are the signed shares, per lot or payout, rounded down, to the signed accounts.
// I11 A pause changes no way out: same answer, same events.
// I12 A delegate opens within allowance, bound per job and expiry, with the named settler, and what
//     returns goes to the payer.
// I13 Vault money reaches its job or `refundTo`: see FundingInvariants.t.sol.
// I14 A voucher job takes no lots; what was redeemed is `released`, at most `funded`, and rises to
//     exactly the voucher's total.
// I15 Each call is taken if the rules say so, and only then.
// I16 What came into a job is there, released or returned, to the last unit; each payment goes to
//     the node that was named, what returns to `refundTo` or the payer's credit.
// I17 The token moves exactly as Deposited, Opened, CreditIssued, Withdrawn and Burned tell,
//     between the accounts that they name; nothing that pays nodes moves it.
// I18 A job's id is the digest of its emitted terms; it opens once, until `openBy`.
// I19 A closed job, or one whose end has come, takes no work.
// I20 A window is `reviewSeconds` long, at least 10 minutes; within it nothing settles unapproved,
//     after it or an approval nothing is rejected.
// I21 Only a sealed lot lapses, `claimGrace` after its full window.
// I22 A sealed lot is paid with its key in the event, and never by `release`.
// I23 In a pause nothing comes in; it lasts at most 7 days and the next is 30 days off.
// I24 Only the issuer issues and names, only the guardian pauses, and neither ever changes.
// I25 `by` of Approved, Rejected and CloseRequested is who said so.
// I26 Closed is for ever: nothing comes into a closed job, nothing returns from an open one.
// I27 No unit beyond the job's, no price above the order's, no more paid than funded.
// I28 A job closes from its end on, or once all units are paid, or by both sides; its end comes
//     nearer once, by the payer's side, before `workDeadline`.
// I29 Credit is spent by the payer's own openings alone, with the settler named last.
// I30 An act of the campaign never fails by itself, so that each refusal is the escrow's.
contract InvariantsTest is Campaign {
    function invariant_EveryPromiseHolds() public view {
        _nothingBroken();
    }

    /// Proves that the acts reach every path, not only refusals.
    function test_ActsReachEveryPath() public {
        _walk(6000);
        _reachedMoney();
        _reachedJobs();
        _attempted("word of another", 50);
        _attempted("word on another act", 50);
        _attempted("delegate beyond its bounds", 10);
        _attempted("order out of bounds", 10);
        _attempted("lot again", 100);
        _attempted("close by one side twice", 2);
    }

    function _reachedMoney() private {
        _reached("deposit", 50);
        _reached("depositFor", 50);
        _reached("fundJob", 50);
        _reached("withdraw", 50);
        _reached("burn", 10);
        _reached("issueCredit", 20);
        _reached("nameSettler", 20);
        _reached("setDelegate", 20);
        _reached("revokeDelegate", 5);
        _reached("pause", 2);
        _reached("unpause", 2);
        _reached("wallet changed its mind", 20);
        _reached("probe of a pause", 100);
    }

    function _reachedJobs() private {
        _reached("open", 50);
        _reached("open with credit", 5);
        _reached("openFor", 20);
        _reached("openFor by a delegate", 20);
        _reached("topUp", 20);
        _reached("release", 20);
        _reached("commit", 20);
        _reached("commit approved", 10);
        _reached("approve", 10);
        _reached("reject", 10);
        _reached("reject again", 5);
        _reached("settle", 20);
        _reached("lapse", 5);
        _reached("redeem", 20);
        _reached("requestClose", 5);
        _reached("close", 20);
        _reached("close by both", 2);
    }
}
