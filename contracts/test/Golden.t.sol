// SPDX-License-Identifier: MIT OR Apache-2.0
// Digests, roots and amounts of golden.json, which Rust must produce too.
pragma solidity 0.8.37;

import {MerkleProof} from "@openzeppelin/contracts/utils/cryptography/MerkleProof.sol";
import {Hashes, Lot, Order, Payout, Receipt} from "../src/Order.sol";
import {RenderEscrow} from "../src/RenderEscrow.sol";
import {Units} from "../src/Units.sol";
import {Fixture} from "./Fixture.sol";

contract GoldenTest is Fixture {
    string private json;

    function setUp() public override {
        super.setUp();
        json = vm.readFile("test/golden.json");
    }

    function test_TypeHashes() public view {
        _same(Hashes.ORDER, ".typeHashes.order");
        _same(Hashes.LOT, ".typeHashes.lot");
        _same(Hashes.ACCEPTANCE, ".typeHashes.acceptance");
        _same(Hashes.APPROVAL, ".typeHashes.approval");
        _same(Hashes.REJECTION, ".typeHashes.rejection");
        _same(Hashes.CLOSE_REQUEST, ".typeHashes.closeRequest");
        _same(Hashes.CLOSE, ".typeHashes.close");
        _same(Hashes.VOUCHER, ".typeHashes.voucher");
        _same(Hashes.REDEMPTION, ".typeHashes.redemption");
        _same(Hashes.PAYOUT, ".typeHashes.payout");
        _same(Hashes.RECEIPT, ".typeHashes.receipt");
    }

    function test_JobsLotsAndReceipts() public {
        uint256 i = 0;
        while (vm.keyExistsJson(json, _at(".jobs", i))) {
            _checkJobVector(_at(".jobs", i++));
        }
        vm.assertEq(i, 3, "jobs in golden.json");
    }

    function test_MerkleTrees() public view {
        uint256 i = 0;
        while (vm.keyExistsJson(json, _at(".trees", i))) {
            string memory path = _at(".trees", i++);
            bytes32[] memory values = _words(string.concat(path, ".leaves"));
            bytes32[] memory hashed = _words(string.concat(path, ".hashedLeaves"));
            for (uint256 j = 0; j < values.length; ++j) {
                vm.assertEq(_leaf(values[j]), hashed[j], "leaf");
            }
            _checkTree(values, string.concat(path, ".root"), string.concat(path, ".proofs"));
        }
        vm.assertEq(i, 6, "trees in golden.json");
    }

    function test_KeyAndOutput() public view {
        _same(keccak256(abi.encode(_word(".key.key"))), ".key.keyCommit");
        bytes32 roots =
            keccak256(abi.encode(_word(".output.pixelRoot"), _word(".output.fileRoot")));
        _same(roots, ".output.outputHash");
    }

    /// A node of the tree is no leaf: leaves are hashed twice.
    function test_InnerNodeIsNoLeaf() public view {
        bytes32[] memory values = _words(".trees[3].leaves");
        bytes32 root = _word(".trees[3].root");
        bytes32[] memory one = new bytes32[](1);
        one[0] = _pair(_leaf(values[1]), _leaf(values[0]));
        bytes32 other = _pair(_leaf(values[3]), _leaf(values[2]));
        vm.assertTrue(MerkleProof.verify(one, root, other), "the inner node's own path");
        vm.assertTrue(!MerkleProof.verify(one, root, _leaf(other)), "an inner node as a value");
    }

    /// A path proves the receipt in its own place, and its unit is in the receipt.
    function test_PathOfOneReceiptProvesNoOtherUnit() public view {
        Receipt[] memory receipts = new Receipt[](4);
        bytes32[] memory leaves = new bytes32[](4);
        for (uint32 i = 0; i < 4; ++i) {
            receipts[i].unit = i;
            leaves[i] = _leaf(this.hashReceipt(receipts[i]));
        }
        bytes32[2] memory above = [_pair(leaves[0], leaves[1]), _pair(leaves[2], leaves[3])];
        bytes32 root = _pair(above[0], above[1]);
        for (uint256 i = 0; i < 4; ++i) {
            bytes32[] memory path = new bytes32[](2);
            (path[0], path[1]) = (leaves[i ^ 1], above[1 - i / 2]);
            for (uint32 j = 0; j < 4; ++j) {
                receipts[i].unit = j;
                bytes32 leaf = _leaf(this.hashReceipt(receipts[i]));
                vm.assertTrue(MerkleProof.verify(path, root, leaf) == (i == j), "its own unit");
            }
        }
    }

    // The libraries take calldata, so they are called through these.
    function hashOrder(Order calldata order) external pure returns (bytes32) {
        return Hashes.order(order);
    }

    function hashReceipt(Receipt calldata receipt) external pure returns (bytes32) {
        return Hashes.receipt(receipt);
    }

    function hashPayouts(Payout[] calldata payouts) external pure returns (bytes32) {
        return Hashes.payouts(payouts);
    }

    function _checkJobVector(string memory path) private {
        vm.chainId(_uint(string.concat(path, ".chainId")));
        address verifying = _address(string.concat(path, ".verifyingContract"));
        vm.etch(verifying, address(escrow).code);
        escrow = RenderEscrow(verifying);
        Order memory order = _readOrder(string.concat(path, ".order"));
        _same(this.hashOrder(order), string.concat(path, ".structHash"));
        bytes32 jobId = escrow.jobIdOf(order);
        _same(jobId, string.concat(path, ".jobId"));
        _same(_digest(Hashes.closeRequest(jobId)), string.concat(path, ".closeRequestDigest"));
        _same(_digest(Hashes.close(jobId)), string.concat(path, ".closeDigest"));
        _checkRedemption(string.concat(path, ".redemption"), jobId);
        _checkLots(path, order, jobId);
        _checkReceipts(path, jobId);
    }

    function _checkRedemption(string memory path, bytes32 jobId) private view {
        uint96 cumulative = uint96(_uint(string.concat(path, ".cumulative")));
        _same(_digest(Hashes.voucher(jobId, cumulative)), string.concat(path, ".voucherDigest"));
        string memory rows = string.concat(path, ".payouts");
        uint256 n = 0;
        while (vm.keyExistsJson(json, _at(rows, n))) ++n;
        vm.assertTrue(n != 0, "payouts in golden.json");
        Payout[] memory payouts = new Payout[](n);
        for (uint256 i = 0; i < n; ++i) {
            string memory row = _at(rows, i);
            payouts[i].node = _address(string.concat(row, ".node"));
            payouts[i].amount = uint96(_uint(string.concat(row, ".amount")));
        }
        bytes32 payoutsHash = this.hashPayouts(payouts);
        _same(payoutsHash, string.concat(path, ".payoutsHash"));
        bytes32 act = Hashes.redemption(jobId, cumulative, payoutsHash);
        _same(_digest(act), string.concat(path, ".digest"));
    }

    function _checkLots(string memory path, Order memory order, bytes32 jobId) private view {
        string memory lots = string.concat(path, ".lots");
        uint256 n = 0;
        while (vm.keyExistsJson(json, _at(lots, n))) ++n;
        bytes32[] memory hashes = new bytes32[](n);
        for (uint256 i = 0; i < n; ++i) {
            hashes[i] = _checkOneLot(_at(lots, i), order, jobId);
        }
        bytes32 lotsHash = Hashes.list(hashes);
        _same(lotsHash, string.concat(path, ".lotsHash"));
        bytes32 acceptance = _digest(Hashes.acceptance(jobId, lotsHash));
        _same(acceptance, string.concat(path, ".acceptanceDigest"));
        bytes32 approval = _digest(Hashes.approval(jobId, lotsHash));
        _same(approval, string.concat(path, ".approvalDigest"));
        string memory rejection = string.concat(path, ".rejection");
        bytes32 act = Hashes.rejection(
            jobId,
            hashes[_uint(string.concat(rejection, ".lotIndex"))],
            _uint(string.concat(rejection, ".mask")),
            _word(string.concat(rejection, ".reasonHash"))
        );
        _same(_digest(act), string.concat(rejection, ".digest"));
    }

    function _checkOneLot(string memory path, Order memory order, bytes32 jobId)
        private
        view
        returns (bytes32 lotHash)
    {
        Lot memory lot = _readLot(string.concat(path, ".lot"));
        lotHash = escrow.lotHashOf(jobId, lot);
        _same(lotHash, string.concat(path, ".lotHash"));
        uint256 amount = Units.amount(lot.mask, lot.unitPrice);
        uint256 fee = amount * order.feeBps / 10_000;
        uint256 burn = amount * order.burnBps / 10_000;
        _equal(Units.count(lot.mask), string.concat(path, ".unitCount"));
        _equal(amount, string.concat(path, ".amount"));
        _equal(fee, string.concat(path, ".fee"));
        _equal(burn, string.concat(path, ".burn"));
        _equal(amount - fee - burn, string.concat(path, ".net"));
    }

    function _checkReceipts(string memory path, bytes32 jobId) private view {
        string memory receipts = string.concat(path, ".receipts");
        uint256 n = 0;
        while (vm.keyExistsJson(json, _at(receipts, n))) ++n;
        bytes32[] memory digests = new bytes32[](n);
        for (uint256 i = 0; i < n; ++i) {
            string memory row = _at(receipts, i);
            Receipt memory receipt = _readReceipt(string.concat(row, ".receipt"), jobId);
            digests[i] = _digest(this.hashReceipt(receipt));
            _same(digests[i], string.concat(row, ".digest"));
        }
        _checkTree(
            digests, string.concat(path, ".receiptsRoot"), string.concat(path, ".receiptProofs")
        );
    }

    /// Builds the whole array of a tree, and walks each path with OpenZeppelin's verifier.
    function _checkTree(bytes32[] memory values, string memory root, string memory proofs)
        private
        view
    {
        uint256 n = values.length;
        bytes32[] memory nodes = new bytes32[](2 * n - 1);
        for (uint256 i = 0; i < n; ++i) {
            nodes[2 * n - 2 - i] = _leaf(values[i]);
        }
        for (uint256 i = n - 1; i > 0; --i) {
            nodes[i - 1] = _pair(nodes[2 * i - 1], nodes[2 * i]);
        }
        _same(nodes[0], root);
        for (uint256 i = 0; i < n; ++i) {
            bytes32[] memory proof = _words(_at(proofs, i));
            vm.assertTrue(MerkleProof.verify(proof, nodes[0], _leaf(values[i])), "path");
        }
    }

    function _leaf(bytes32 value) private pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(value))));
    }

    function _pair(bytes32 a, bytes32 b) private pure returns (bytes32) {
        return a < b ? keccak256(abi.encode(a, b)) : keccak256(abi.encode(b, a));
    }

    function _readOrder(string memory p) private view returns (Order memory o) {
        o.payer = _address(string.concat(p, ".payer"));
        o.refundTo = _address(string.concat(p, ".refundTo"));
        o.approver = _address(string.concat(p, ".approver"));
        o.settler = _address(string.concat(p, ".settler"));
        o.feeReceiver = _address(string.concat(p, ".feeReceiver"));
        o.cap = uint96(_uint(string.concat(p, ".cap")));
        o.maxUnitPrice = uint96(_uint(string.concat(p, ".maxUnitPrice")));
        o.units = uint32(_uint(string.concat(p, ".units")));
        o.openBy = uint40(_uint(string.concat(p, ".openBy")));
        o.workDeadline = uint40(_uint(string.concat(p, ".workDeadline")));
        o.reviewSeconds = uint40(_uint(string.concat(p, ".reviewSeconds")));
        o.claimGrace = uint40(_uint(string.concat(p, ".claimGrace")));
        o.feeBps = uint16(_uint(string.concat(p, ".feeBps")));
        o.burnBps = uint16(_uint(string.concat(p, ".burnBps")));
        o.specHash = _word(string.concat(p, ".specHash"));
        o.quoteHash = _word(string.concat(p, ".quoteHash"));
        o.salt = _word(string.concat(p, ".salt"));
    }

    function _readLot(string memory p) private view returns (Lot memory) {
        return Lot({
            node: _address(string.concat(p, ".node")),
            word: uint32(_uint(string.concat(p, ".word"))),
            mask: _uint(string.concat(p, ".mask")),
            unitPrice: uint96(_uint(string.concat(p, ".unitPrice"))),
            receiptsRoot: _word(string.concat(p, ".receiptsRoot")),
            keyCommit: _word(string.concat(p, ".keyCommit"))
        });
    }

    function _readReceipt(string memory p, bytes32 jobId) private view returns (Receipt memory) {
        return Receipt({
            jobId: jobId,
            unit: uint32(_uint(string.concat(p, ".unit"))),
            attempt: uint32(_uint(string.concat(p, ".attempt"))),
            outputHash: _word(string.concat(p, ".outputHash")),
            previewHash: _word(string.concat(p, ".previewHash")),
            keyCommit: _word(string.concat(p, ".keyCommit")),
            startedAt: uint40(_uint(string.concat(p, ".startedAt"))),
            finishedAt: uint40(_uint(string.concat(p, ".finishedAt")))
        });
    }

    function _at(string memory path, uint256 i) private pure returns (string memory) {
        return string.concat(path, "[", vm.toString(i), "]");
    }

    function _same(bytes32 made, string memory path) private view {
        vm.assertEq(made, _word(path), path);
    }

    function _equal(uint256 made, string memory path) private view {
        vm.assertEq(made, _uint(path), path);
    }

    function _word(string memory path) private view returns (bytes32) {
        return vm.parseJsonBytes32(json, path);
    }

    function _words(string memory path) private view returns (bytes32[] memory) {
        return vm.parseJsonBytes32Array(json, path);
    }

    function _uint(string memory path) private view returns (uint256) {
        return vm.parseJsonUint(json, path);
    }

    function _address(string memory path) private view returns (address) {
        return vm.parseJsonAddress(json, path);
    }
}
