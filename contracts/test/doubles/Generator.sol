// SPDX-License-Identifier: MIT OR Apache-2.0
// A chain to measure an index by: the escrow's own events, as many as wanted, all known beforehand.
pragma solidity 0.8.37;

import {IRenderEscrow} from "../../src/IRenderEscrow.sol";
import {Hashes, Lot, Order} from "../../src/Order.sol";

/// Says what `RenderEscrow` would say of jobs that are a pure function of their number, without
/// holding any money; the balances alone are kept. Ten jobs in a row, one of each kind, make a
/// hundred events. The same rules stand a second time in tests/bench/expected.rs.
contract Generator {
    /// Jobs of one step in each of their phases, and steps from one phase to the next.
    uint256 public constant JOBS_A_STEP = 5;
    uint256 public constant STEPS_A_PHASE = 4;

    address private constant DEAD = 0x000000000000000000000000000000000000dEaD;
    uint40 private constant FAR = 1_800_000_000;
    uint40 private constant REVIEW = 600;
    uint256 private constant ALL_BPS = 10_000;

    enum Part {
        Payer,
        Node,
        Agent,
        Settler,
        Fees
    }

    struct Account {
        uint96 free;
        uint64 seq;
    }

    /// One job in one of its phases: `seq` and `released` move on with each event.
    struct Job {
        uint256 number;
        uint256 kind;
        bytes32 id;
        uint96 price;
        uint96 released;
        uint96 pending;
        uint96 fee;
        uint96 burn;
        uint32 seq;
        Order order;
    }

    address public immutable token;
    uint256 private immutable _payers;
    bytes32 private immutable _domain;
    mapping(address owner => Account) private _accounts;

    /// There are five payers for each node.
    constructor(address token_, uint256 payers) {
        token = token_;
        _payers = payers;
        bytes32 domain = keccak256(
            "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
        );
        bytes32 name = keccak256("RenderEscrow");
        _domain = keccak256(abi.encode(domain, name, keccak256("1"), block.chainid, this));
    }

    // ---- what an indexer asks before it follows ----

    function eip712Domain()
        external
        view
        returns (
            bytes1 fields,
            string memory name,
            string memory version,
            uint256 chainId,
            address verifyingContract,
            bytes32 salt,
            uint256[] memory extensions
        )
    {
        return (hex"0f", "RenderEscrow", "1", block.chainid, address(this), 0, new uint256[](0));
    }

    function offices() external pure returns (address, address, address, uint40, uint56) {
        return (address(0), address(0), address(0), 0, 0);
    }

    // ---- the schedule ----

    /// Of the jobs `first` to before `end`: step `turn` opens its own five, and takes those of
    /// earlier steps one phase further.
    function step(uint256 turn, uint256 first, uint256 end) external {
        for (uint256 phase = 0; phase < 5 && turn >= phase * STEPS_A_PHASE; ++phase) {
            uint256 number = (turn - phase * STEPS_A_PHASE) * JOBS_A_STEP;
            for (uint256 last = number + JOBS_A_STEP; number < last; ++number) {
                if (number >= first && number < end) _play(phase, number);
            }
        }
    }

    function _play(uint256 phase, uint256 number) private {
        Job memory job = _job(number);
        if (phase == 0) return _open(job);
        job.seq = _opening(job.kind);
        if (phase == 1) return _commit(job);
        job.seq += _lots(job.kind);
        if (phase == 2) return _review(job);
        job.seq += _reviews(job.kind);
        if (phase == 3) return _pay(job);
        job.seq += _payments(job.kind);
        _end(job);
    }

    // ---- a job's terms ----

    function _job(uint256 number) private view returns (Job memory job) {
        job.number = number;
        job.kind = number % 10;
        // Not round, so that shares are rounded.
        job.price = uint96(1e15 * (100 + number % 97) + 7);
        Order memory order = job.order;
        order.payer = _who(Part.Payer, number % _payers);
        order.refundTo = order.payer;
        order.settler = _who(Part.Settler, 0);
        order.feeReceiver = _who(Part.Fees, 0);
        order.units = job.kind == 9 ? 0 : uint32(2 * _frames(job) + 2);
        order.cap = job.price * (order.units == 0 ? 10 : order.units + 1);
        order.maxUnitPrice = job.price;
        order.openBy = FAR;
        order.workDeadline = FAR;
        order.reviewSeconds = REVIEW;
        order.claimGrace = 3600;
        order.feeBps = 500;
        order.burnBps = _isDouble(job.kind) ? 0 : 100;
        order.specHash = keccak256(abi.encode(number, "spec"));
        order.quoteHash = keccak256(abi.encode(number, "quote"));
        order.salt = bytes32(number);
        bytes32 terms = keccak256(abi.encode(Hashes.ORDER, order));
        job.id = keccak256(abi.encodePacked(hex"1901", _domain, terms));
    }

    function _lot(Job memory job, uint256 place) private view returns (Lot memory lot) {
        uint256 frames = _frames(job);
        lot.node = _node(job, place);
        lot.mask = ((1 << frames) - 1) << (frames * place);
        lot.unitPrice = job.price;
        lot.receiptsRoot = keccak256(abi.encode(job.number, place, "receipts"));
        if (job.kind != 7) lot.keyCommit = keccak256(abi.encode(_key(job, place)));
    }

    function _hash(Job memory job, Lot memory lot) private pure returns (bytes32) {
        return keccak256(abi.encode(Hashes.LOT, job.id, lot));
    }

    function _key(Job memory job, uint256 place) private pure returns (bytes32) {
        return keccak256(abi.encode(job.number, place, "key"));
    }

    function _node(Job memory job, uint256 place) private view returns (address) {
        return _who(Part.Node, (job.number + 7 * place) % (_payers / 5));
    }

    /// Frames of each of its lots.
    function _frames(Job memory job) private pure returns (uint256) {
        return 4 + (job.number / 10) % 5;
    }

    /// Two sealed lots, settled together; no share is burnt.
    function _isDouble(uint256 kind) private pure returns (bool) {
        return kind == 4 || kind == 5;
    }

    /// Events of the job itself in its opening, committing, review and payment.
    function _opening(uint256 kind) private pure returns (uint32) {
        return kind == 7 || kind == 8 ? 2 : 1;
    }

    function _lots(uint256 kind) private pure returns (uint32) {
        if (kind == 7 || kind == 9) return 0;
        return _isDouble(kind) ? 2 : 1;
    }

    function _reviews(uint256 kind) private pure returns (uint32) {
        if (kind == 7 || kind == 8) return 0;
        return _isDouble(kind) || kind == 6 ? 2 : 1;
    }

    function _payments(uint256 kind) private pure returns (uint32) {
        return _isDouble(kind) || kind == 7 || kind == 9 ? 2 : 1;
    }

    // ---- the phases ----

    function _open(Job memory job) private {
        Order memory order = job.order;
        address payer = order.payer;
        address agent = _who(Part.Agent, job.number % _payers);
        uint96 amount = order.cap + (job.kind == 7 ? job.price : 0);
        (uint96 free, uint64 seq) = _move(payer, amount, 0);
        emit IRenderEscrow.Deposited(payer, payer, amount, free, seq);
        if (job.kind == 8) {
            (, seq) = _move(payer, 0, 0);
            emit IRenderEscrow.DelegateSet(
                payer, agent, order.settler, 2 * order.cap, order.cap, FAR, seq
            );
        }
        (free, seq) = _move(payer, 0, order.cap);
        emit IRenderEscrow.Opened(job.id, payer, payer, order, 0, 0, free, 0, seq);
        if (job.kind == 8) {
            emit IRenderEscrow.DelegateSpent(job.id, payer, agent, order.cap, order.cap, 2);
        } else if (job.kind == 7) {
            (free, seq) = _move(payer, 0, job.price);
            emit IRenderEscrow.ToppedUp(job.id, payer, job.price, amount, 2, free, seq);
        }
    }

    function _commit(Job memory job) private {
        for (uint256 place = 0; place < _lots(job.kind); ++place) {
            Lot memory lot = _lot(job, place);
            uint96 amount = uint96(_frames(job)) * job.price;
            job.pending += amount;
            emit IRenderEscrow.Committed(
                job.id,
                lot.node,
                _hash(job, lot),
                lot,
                amount,
                uint40(block.timestamp) + REVIEW,
                job.kind == 8,
                job.pending,
                ++job.seq
            );
        }
    }

    function _review(Job memory job) private {
        address payer = job.order.payer;
        if (job.kind == 9) {
            emit IRenderEscrow.CloseRequested(job.id, payer, uint40(block.timestamp), ++job.seq);
        }
        if (_reviews(job.kind) == 0 || job.kind == 9) return;
        for (uint256 place = 0; place < _lots(job.kind); ++place) {
            bytes32 lotHash = _hash(job, _lot(job, place));
            if (job.kind == 6) {
                uint96 left = uint96(_frames(job) - 1) * job.price;
                bytes32 reason = keccak256("too dark");
                emit IRenderEscrow.Rejected(
                    job.id, payer, lotHash, 1, reason, job.price, left, ++job.seq
                );
            }
            emit IRenderEscrow.Approved(job.id, payer, lotHash, ++job.seq);
        }
    }

    function _pay(Job memory job) private {
        for (uint256 place = 0; place < _payments(job.kind); ++place) {
            if (job.kind == 9) _redeem(job, place);
            else if (job.kind == 7) _release(job, place);
            else _settle(job, place);
        }
        address fees = job.order.feeReceiver;
        (uint96 free, uint64 seq) = _move(fees, job.fee, 0);
        emit IRenderEscrow.FeeCredited(job.id, fees, job.fee, free, seq);
        if (job.burn != 0) {
            (free, seq) = _move(DEAD, job.burn, 0);
            emit IRenderEscrow.BurnCredited(job.id, job.burn, free, seq);
        }
    }

    function _settle(Job memory job, uint256 place) private {
        Lot memory lot = _lot(job, place);
        uint256 mask = job.kind == 6 ? lot.mask - 1 : lot.mask;
        (uint96 amount, uint96 fee, uint96 burnt) = _shares(job, _due(job, place));
        (uint96 free, uint64 seq) = _move(lot.node, amount - fee - burnt, 0);
        // Only the first of two lots leaves the second one pending.
        uint96 pending = place + 1 < _payments(job.kind) ? amount : 0;
        emit IRenderEscrow.Settled(
            job.id,
            lot.node,
            _hash(job, lot),
            _key(job, place),
            mask,
            amount,
            fee,
            burnt,
            job.released,
            pending,
            ++job.seq,
            free,
            seq
        );
    }

    function _release(Job memory job, uint256 place) private {
        Lot memory lot = _lot(job, place);
        (uint96 amount, uint96 fee, uint96 burnt) = _shares(job, _due(job, place));
        (uint96 free, uint64 seq) = _move(lot.node, amount - fee - burnt, 0);
        emit IRenderEscrow.Released(
            job.id,
            lot.node,
            _hash(job, lot),
            lot,
            amount,
            fee,
            burnt,
            job.released,
            ++job.seq,
            free,
            seq
        );
    }

    function _redeem(Job memory job, uint256 place) private {
        address node = _node(job, place);
        (uint96 amount, uint96 fee, uint96 burnt) = _shares(job, _due(job, place));
        (uint96 free, uint64 seq) = _move(node, amount - fee - burnt, 0);
        emit IRenderEscrow.Redeemed(
            job.id, node, amount, fee, burnt, job.released, ++job.seq, free, seq
        );
    }

    function _end(Job memory job) private {
        address payer = job.order.payer;
        uint96 left = job.order.cap + (job.kind == 7 ? job.price : 0);
        for (uint256 place = 0; place < _payments(job.kind); ++place) {
            job.released += _due(job, place);
        }
        left -= job.released;
        emit IRenderEscrow.Closed(job.id, ++job.seq);
        (uint96 free, uint64 seq) = _move(payer, left, 0);
        emit IRenderEscrow.Returned(job.id, payer, left, job.released, ++job.seq, free, seq);
        if (job.kind < 4) _withdraw(job, payer);
    }

    /// Kinds 0 and 1: the payer takes everything out. 2 and 3: the node takes what this job paid
    /// it; once in a thousand jobs the burn account is emptied instead.
    function _withdraw(Job memory job, address payer) private {
        if (job.number % 1000 == 3) {
            uint96 burnt = _accounts[DEAD].free;
            (uint96 none, uint64 last) = _move(DEAD, 0, burnt);
            emit IRenderEscrow.Burned(burnt, none, last);
            return;
        }
        address owner = job.kind < 2 ? payer : _node(job, 0);
        uint96 amount = _accounts[payer].free;
        if (job.kind >= 2) {
            (uint96 paid, uint96 fee, uint96 burnt) = _shares(job, _due(job, 0));
            amount = paid - fee - burnt;
        }
        (uint96 free, uint64 seq) = _move(owner, 0, amount);
        emit IRenderEscrow.Withdrawn(owner, owner, amount, free, seq);
    }

    /// What a payment comes to.
    function _due(Job memory job, uint256 place) private pure returns (uint96) {
        if (job.kind == 9) return uint96(2 + place) * job.price;
        return uint96(job.kind == 6 ? _frames(job) - 1 : _frames(job)) * job.price;
    }

    /// Counts a payment into the job, and its fee and burn into what its call credits.
    function _shares(Job memory job, uint96 amount)
        private
        pure
        returns (uint96, uint96 fee, uint96 burnt)
    {
        fee = uint96(uint256(amount) * job.order.feeBps / ALL_BPS);
        burnt = uint96(uint256(amount) * job.order.burnBps / ALL_BPS);
        job.released += amount;
        job.fee += fee;
        job.burn += burnt;
        return (amount, fee, burnt);
    }

    // ---- accounts ----

    /// The account's next event: `more` comes in, `less` goes out.
    function _move(address owner, uint96 more, uint96 less)
        private
        returns (uint96 free, uint64 seq)
    {
        Account storage account = _accounts[owner];
        free = account.free + more - less;
        seq = account.seq + 1;
        (account.free, account.seq) = (free, seq);
    }

    function _who(Part part, uint256 number) private pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encode(part, number)))));
    }
}
