"""Which networks are exported, by whom and how: the rows of docs/FAMILIES.md.

A name is LIBRARY/EXPORTER/OPSET/FORM/NETWORK for PyTorch, keras/OPSET/LAYOUT/FORM/NETWORK and
paddle/OPSET/plain/NETWORK for the others, as the scripts beside this file read it.
"""

# timm's smallest convolutional networks by parameters, without those that have attention
TIMM = """
starnet_s050 starnet_s100 dla46x_c dla46_c dla60x_c starnet_s150 mobilenetv3_small_050 lcnet_035
mobilenetv2_035 lcnet_050 ese_vovnet19b_slim_dw mobilenetv4_conv_small_035 mobilenetv2_050 mnasnet_small
mobilenetv3_small_075 tf_mobilenetv3_small_075 tinynet_e tf_mobilenetv3_small_minimal_100 semnasnet_050
convnext_zepto_rms convnext_zepto_rms_ols mnasnet_050 mobilenetv4_conv_small_050 repghostnet_050 tinynet_d
lcnet_075 tinynet_c mobilenetv3_small_100 tf_mobilenetv3_small_100 repghostnet_058 ghostnet_050
mobilenetv2_075 regnetx_002 cspnext_tiny
""".split()

TIMM_MORE = (
    """mobilenetv1_100 mobilenetv2_100 mobilenetv3_large_100 mobilenetv4_conv_small efficientnet_lite0 mnasnet_100
fbnetc_100 hardcorenas_a rexnet_100 mixnet_s regnety_002 repvgg_a0 mobileone_s1 fasternet_t0 ghostnet_100
mobilenetv4_hybrid_medium edgenext_xx_small""".split()
)

TORCHVISION = """
squeezenet1_1 squeezenet1_0 shufflenet_v2_x0_5 mnasnet0_5 shufflenet_v2_x1_0 mobilenet_v3_small mnasnet0_75
shufflenet_v2_x1_5 mobilenet_v2 mnasnet1_0 regnet_y_400mf efficientnet_b0 mobilenet_v3_large regnet_x_400mf
mnasnet1_3 regnet_y_800mf regnet_x_800mf shufflenet_v2_x2_0 efficientnet_b1 densenet121 efficientnet_b2
regnet_x_1_6gf regnet_y_1_6gf resnet18 efficientnet_b3 googlenet efficientnet_v2_s resnet34 resnext50_32x4d
resnet50 inception_v3 convnext_tiny swin_t
""".split()

KERAS = """
MobileNet MobileNetV2 MobileNetV3Small MobileNetV3Large MobileNetV3Small_minimalistic
MobileNetV3Large_minimalistic
""".split()

PADDLE = (
    "mobilenet_v1 mobilenet_v2 mobilenet_v3_small mobilenet_v3_large squeezenet1_1 shufflenet_v2_x0_5 resnet18".split()
)

SMALL, SAME = "mobilenet_v3_small", "tf_mobilenetv3_small_minimal_100"


def names(section):
    """The names of one section of the table."""
    if section == "torch-opsets":
        return (
            [f"torchvision/old/{k}/plain/{SMALL}" for k in range(11, 22)]
            + [f"timm/old/{k}/plain/{SAME}" for k in (11, 13, 17, 20)]
            + [f"torchvision/dynamo/{k}/plain/{SMALL}" for k in range(18, 24)]
            + [f"timm/dynamo/{k}/plain/{SAME}" for k in (18, 23)]
        )
    if section == "torch-forms":
        return [
            f"{library}/{exporter}/{k}/{form}/{network}"
            for form in ("channels_last", "half")
            for library, network in (
                ("torchvision", SMALL),
                ("timm", "mobilenetv3_small_050"),
                ("timm", "mobilenetv2_035"),
            )
            for exporter, k in (("old", 17), ("dynamo", 18))
        ] + [f"torchvision/dynamo/23/channels_last/{SMALL}"]
    if section == "timm":
        return [f"timm/old/17/plain/{n}" for n in TIMM]
    if section == "timm-more":
        return [f"timm/old/17/plain/{n}" for n in TIMM_MORE]
    if section == "timm-dynamo":
        return [f"timm/dynamo/20/plain/{n}" for n in TIMM[:12]]
    if section == "torchvision":
        return [f"torchvision/old/17/plain/{n}" for n in TORCHVISION]
    if section == "keras":
        return (
            [f"keras/13/nhwc/{form}/{n}" for n in KERAS for form in ("plain", "pre")]
            + ["keras/13/nhwc/pre/EfficientNetB0"]
            + [f"keras/13/nchw/plain/{n}" for n in KERAS]
            + ["keras/13/nchw/pre/EfficientNetB0", "keras/13/nchw/pre/MobileNetV3Small"]
        )
    if section == "keras-opsets":
        return (
            [f"keras/{k}/nhwc/plain/MobileNetV3Small" for k in range(9, 19) if k != 13]
            + [f"keras/{k}/nhwc/pre/MobileNetV2" for k in (9, 11, 15, 18)]
            + ["keras/18/nhwc/pre/MobileNetV3Large", "keras/9/nhwc/plain/MobileNetV3Large_minimalistic"]
        )
    return [f"paddle/11/plain/{n}" for n in PADDLE] + [f"paddle/{k}/plain/mobilenet_v3_small" for k in (9, 13, 16)]


SECTIONS = {
    "torch-opsets": "PyTorch: both exporters, every opset",
    "torch-forms": "PyTorch: channels_last, and fp16 weights",
    "timm": "timm's smallest convolutional networks, old exporter, opset 17",
    "timm-more": "More families of timm, old exporter, opset 17",
    "timm-dynamo": "timm's smallest again, `dynamo=True`, opset 20",
    "torchvision": "torchvision's classifiers of up to 30 million parameters, old exporter, opset 17",
    "keras": "Keras applications, tf2onnx, opset 13",
    "keras-opsets": "Keras applications, other opsets",
    "paddle": "PaddlePaddle, paddle2onnx",
}
# What is quantized as well: it takes ten times as long as all the rest. --int8 quantizes every network of these
# sections.
INT8 = ("timm", "timm-more", "torchvision", "keras", "paddle")
MOBILE = """
mobilenetv2_035 mobilenetv3_small_050 mobilenetv3_small_100 tf_mobilenetv3_small_minimal_100 lcnet_035
ghostnet_050 ese_vovnet19b_slim_dw mobilenet_v1 mobilenet_v2 mobilenet_v3_small mobilenet_v3_large resnet18
MobileNet MobileNetV2 MobileNetV3Small MobileNetV3Large MobileNetV3Small_minimalistic
MobileNetV3Large_minimalistic
""".split()


def is_quantized(section, name, every):
    return section in INT8 and (every or name.split("/")[-1] in MOBILE and "/nchw/" not in name)
