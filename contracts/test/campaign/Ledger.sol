// SPDX-License-Identifier: MIT OR Apache-2.0
// What the events told so far: accounts, jobs, lots, delegates, offices; the first broken promise.
pragma solidity 0.8.37;

import {Lot, Order} from "../../src/Order.sol";
import {Fixture} from "../Fixture.sol";
import {Vm} from "../Vm.sol";

abstract contract Ledger is Fixture {
    struct JobState {
        Order order;
        uint256 funded;
        uint256 released;
        uint256 pending;
        uint256 unitsPaid;
        uint256 seq;
        uint256 status;
        uint256 closeRequestedAt;
        uint256 creditShare;
        /// Money that came later, and what went where, by the events of each kind.
        uint256 toppedUp;
        uint256 toNodes;
        uint256 toFee;
        uint256 toBurn;
        uint256 returned;
        /// The delegate that opened it, or zero.
        address agent;
    }

    struct LotState {
        bytes32 jobId;
        Lot lot;
        uint256 status;
        uint256 windowEnd;
        uint256 rejected;
    }

    struct Grant {
        address settler;
        uint256 allowance;
        uint256 maxPerJob;
        uint256 expiry;
        /// What the payer granted last, and the caps opened on it since.
        uint256 granted;
        uint256 opened;
        bool known;
    }

    /// Who really consented to the call whose events are folded, by calling or by signing.
    struct Consent {
        address caller;
        /// The order's settler did.
        bool settler;
        /// The payer or the approver that did, or zero.
        address by;
        /// Whose word opens a job on the payer's account, or zero: the caller with its own money.
        address signer;
        /// The running total of the voucher, if there is one.
        uint256 cumulative;
    }

    string public broken;
    Consent internal consent;

    address[] internal owners;
    mapping(address owner => uint256) internal freeOf;
    mapping(address owner => uint256) internal creditOf;
    mapping(address owner => uint256) internal seqOf;
    uint256 internal totalFree;
    uint256 internal totalCredit;
    uint256 internal creditIssued;
    uint256 internal donated;

    bytes32[] internal jobIds;
    mapping(bytes32 jobId => JobState) internal jobs;
    /// Of all jobs: `funded - released`, and the share that came as credit.
    uint256 internal totalInJobs;
    uint256 internal totalCreditShare;
    bytes32[] internal lotHashes;
    mapping(bytes32 lotHash => LotState) internal lots;
    mapping(bytes32 jobId => mapping(uint32 word => uint256)) internal taken;
    mapping(bytes32 jobId => mapping(uint32 word => uint256)) internal paid;

    address[2][] internal pairs;
    mapping(address payer => mapping(address agent => Grant)) internal grants;

    address internal creditSettler;
    uint256 internal pausedUntil;
    uint256 internal officesSeq;

    mapping(bytes32 topic => uint256) public seen;

    // ---- of one call ----

    bytes32[] internal touched;
    uint256 internal feeDue;
    uint256 internal burnDue;
    /// An opening by a delegate whose `DelegateSpent` has not come.
    bytes32 internal agentDue;
    /// What the events say that the token moves, less what it moved.
    int256 internal inDue;
    int256 internal outDue;

    /// Kept, not thrown: a revert here would undo the very call that broke the promise.
    function _must(bool kept, string memory promise_) internal {
        if (!kept && bytes(broken).length == 0) broken = promise_;
    }

    // ---- what events have in common ----

    function _next(bytes32 jobId, uint256 jobSeq) internal returns (JobState storage job) {
        job = jobs[jobId];
        _must(jobSeq == ++job.seq, "I8: a job's sequence number");
        touched.push(jobId);
    }

    function _count(address owner, uint256 n) internal {
        if (seqOf[owner] == 0) owners.push(owner);
        _must(n == ++seqOf[owner], "I8: an account's sequence number");
    }

    function _add(address owner, uint256 amount, uint256 left, uint256 n) internal {
        _count(owner, n);
        freeOf[owner] += amount;
        totalFree += amount;
        _must(freeOf[owner] == left, "I9: free after a credit");
    }

    function _subtract(address owner, uint256 amount, uint256 left, uint256 n) internal {
        _count(owner, n);
        _must(amount <= freeOf[owner], "I5: more than was free");
        if (amount > freeOf[owner]) return;
        freeOf[owner] -= amount;
        totalFree -= amount;
        _must(freeOf[owner] == left, "I9: free after a debit");
    }

    function _takes(JobState storage job, uint256 amount) internal {
        job.funded += amount;
        totalInJobs += amount;
    }

    /// What leaves a job for its payer's side; more than there is would break I2 anyway.
    function _gives(JobState storage job, uint256 amount, uint256 funded) internal {
        bool there = amount <= job.funded - job.released;
        _must(there, "I2: more returned than there is");
        if (!there) return;
        job.funded -= amount;
        job.returned += amount;
        totalInJobs -= amount;
        _must(job.funded == funded, "I9: funded after a return");
        _must(job.status == 2, "I26: returned from an open job");
    }

    /// The job takes work: it is open and its end has not come.
    function _works(JobState storage job) internal view returns (bool) {
        return job.status == 1 && block.timestamp < _endOf(job);
    }

    function _endOf(JobState storage job) internal view returns (uint256) {
        uint256 asked = job.closeRequestedAt;
        return (asked == 0 ? job.order.workDeadline : asked) + job.order.claimGrace;
    }

    /// Bits of the word that name units of the job.
    function _units(JobState storage job, uint32 word) internal view returns (uint256 mask) {
        uint256 units = job.order.units;
        uint256 first = uint256(word) * 256;
        if (units <= first) return 0;
        return units - first >= 256 ? type(uint256).max : (1 << (units - first)) - 1;
    }

    function _topic(Vm.Log memory log, uint256 topic) internal pure returns (address) {
        return address(uint160(uint256(log.topics[topic])));
    }

    function _bits(uint256 mask) internal pure returns (uint256 count) {
        for (; mask != 0; mask &= mask - 1) {
            ++count;
        }
    }
}
