"""The kinds of layers, and which operator is of which kind."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """What a layer does; the word that backward mappings match on."""

    INPUT = "input"
    PARAMETER = "parameter"
    CONSTANT = "constant"
    CONVOLUTION = "convolution"
    LINEAR = "linear"
    BATCH_NORM = "batch_norm"
    NORM = "norm"
    ACTIVATION = "activation"
    SOFTMAX = "softmax"
    MAX_POOL = "max_pool"
    AVERAGE_POOL = "average_pool"
    LP_POOL = "lp_pool"
    ADD = "add"
    SCALE = "scale"  # a product with constants only: linear in its one input
    PRODUCT = "product"  # a product of two quantities that both depend on the input
    MATMUL = "matmul"
    ATTENTION = "attention"
    CONCAT = "concat"
    RESHAPE = "reshape"
    SELECT = "select"
    PAD = "pad"
    REDUCTION = "reduction"
    INTERPOLATE = "interpolate"
    RECURRENT = "recurrent"
    EMBEDDING = "embedding"
    CAST = "cast"
    OTHER = "other"


_OPERATORS: dict[Kind, str] = {
    Kind.CONVOLUTION: "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d convolution",
    Kind.LINEAR: "linear",
    Kind.BATCH_NORM: "batch_norm _native_batch_norm_legit_no_training scale_shift",
    Kind.LP_POOL: "lp_pool",
    Kind.NORM: "local_response_norm layer_norm group_norm instance_norm rms_norm native_layer_norm native_group_norm",
    Kind.ACTIVATION: (
        "relu relu6 leaky_relu prelu elu selu celu gelu silu mish tanh sigmoid hardtanh hardsigmoid hardswish "
        "softplus softsign log_sigmoid threshold rrelu tanhshrink softshrink hardshrink clamp clamp_min clamp_max "
        "abs square sqrt rsqrt reciprocal pow exp exp2 expm1 log log1p log2 log10 sin cos tan asin acos atan sinh cosh "
        "asinh acosh atanh arctan erf erfc erfinv logit sign sgn round floor ceil trunc frac nan_to_num special_expit "
        "special_erf lgamma maximum minimum fmax fmin"
    ),
    Kind.SOFTMAX: "softmax log_softmax _softmax _log_softmax _safe_softmax",
    Kind.MAX_POOL: (
        "max_pool1d max_pool2d max_pool3d max_pool1d_with_indices max_pool2d_with_indices max_pool3d_with_indices "
        "adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d amax"
    ),
    Kind.AVERAGE_POOL: (
        "avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d "
        "_adaptive_avg_pool2d"
    ),
    Kind.ADD: "add sub rsub lerp diff scatter_add index_add",
    Kind.PRODUCT: "mul div",
    Kind.MATMUL: "matmul mm bmm mv dot inner outer tensordot einsum bilinear addmm baddbmm addbmm addmv addr",
    Kind.ATTENTION: "scaled_dot_product_attention",
    Kind.CONCAT: "cat stack concat concatenate hstack vstack dstack column_stack",
    Kind.RESHAPE: (
        "view reshape flatten unflatten permute transpose t squeeze unsqueeze expand expand_as view_as movedim "
        "swapaxes swapdims numpy_T mT pixel_shuffle pixel_unshuffle channel_shuffle roll flip repeat repeat_interleave "
        "atleast_1d atleast_2d atleast_3d _unsafe_view contiguous ravel tile broadcast_to moveaxis rot90 fliplr flipud "
        "native_channel_shuffle adjoint numpy_mT"
    ),
    Kind.SELECT: (
        "slice select index index_select split split_with_sizes chunk unbind narrow gather tensor_split unsafe_chunk "
        "unsafe_split masked_fill where index_put select_scatter slice_scatter copy unfold im2col diagonal hsplit "
        "vsplit dsplit triu tril diag diag_embed take take_along_dim index_fill scatter masked_scatter "
        "diagonal_scatter index_copy max min amin aminmax median nanmedian kthvalue topk sort msort cummax cummin"
    ),
    Kind.PAD: (
        "pad constant_pad_nd reflection_pad1d reflection_pad2d reflection_pad3d replication_pad1d replication_pad2d "
        "replication_pad3d"
    ),
    Kind.REDUCTION: (
        "mean sum nanmean nansum cumsum trace col2im std var linalg_vector_norm linalg_norm norm frobenius_norm "
        "var_mean std_mean logsumexp"
    ),
    Kind.INTERPOLATE: (
        "upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_linear1d upsample_bilinear2d "
        "upsample_trilinear3d upsample_bicubic2d _upsample_bilinear2d_aa _upsample_bicubic2d_aa "
        "_upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d"
    ),
    Kind.RECURRENT: (
        "lstm gru rnn_tanh rnn_relu lstm_cell gru_cell rnn_tanh_cell rnn_relu_cell "
        "packed_lstm packed_gru packed_rnn_tanh packed_rnn_relu"
    ),
    Kind.EMBEDDING: "embedding",
    Kind.CAST: "to _to_copy type_as float double half",
}

_KIND_OF: dict[str, Kind] = {name: kind for kind, names in _OPERATORS.items() for name in names.split()}

# They take the shape of a tensor, not its values, or cut it off: nothing flows back through them.
VALUE_FREE = frozenset(
    "detach fill zero zeros_like ones_like full_like empty_like new_zeros new_ones new_full new_empty".split()
)


def kind_of(op_name: str) -> Kind:
    """The kind of the operator with this name; `Kind.OTHER` where none is known."""
    return _KIND_OF.get(op_name, Kind.OTHER)


def former_name(op_name: str) -> str:
    """The name without its namespace, by which xaicore 0.1 knew a custom operation; "" where it is one of torch's."""
    namespace, _, bare = op_name.rpartition("::")
    return bare if namespace and kind_of(bare) is Kind.OTHER else ""
