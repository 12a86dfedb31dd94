/* The small words: directions, relations, articles, numbers, and the fillers that carry no slot. */
#include "common/words/lexicon_word.h"

#include "common/words/world.h"

#define ROW(slot, value, en, zh, en_hear, zh_hear)      \
    {                                                   \
        LEXICON_##slot, value, LEXICON_ANY, {en, zh}, { \
            en_hear, zh_hear                            \
        }                                               \
    }

#define MEASURE(known, cls, zh)                                  \
    {                                                            \
        LEXICON_ARTICLE, known, WORLD_CLASS_##cls, {NULL, zh}, { \
            NULL, NULL                                           \
        }                                                        \
    }

static const struct lexicon_row rows[] = {
    ROW(DIR, -1, "to the left|towards the left|from right to left", "向左|朝左|从右往左",
        "left|leftward|leftwards|to left|toward the left", "往左|向左边|朝左边|从右向左|往左边"),
    ROW(DIR, 1, "to the right|towards the right|from left to right", "向右|朝右|从左往右",
        "right|rightward|rightwards|to right|toward the right",
        "往右|向右边|朝右边|从左向右|往右边"),

    ROW(RELATION, WORLD_RELATION_LEFT_OF, "to the left of|on the left side of", "的左边|的左侧",
        "left of|on the left of|at the left of", "左边|左侧|左面|的左面|左方"),
    ROW(RELATION, WORLD_RELATION_RIGHT_OF, "to the right of|on the right side of", "的右边|的右侧",
        "right of|on the right of|at the right of", "右边|右侧|右面|的右面|右方"),
    ROW(RELATION, WORLD_RELATION_BEHIND, "behind|some way behind", "的后面|的后方",
        "in back of|at the back of|right behind|just behind",
        "后面|后方|背后|后边|的背后|身后|的身后"),
    ROW(RELATION, WORLD_RELATION_IN_FRONT_OF, "in front of|some way in front of", "的前面|的前方",
        "before|ahead of|right in front of|just in front of", "前面|前方|前边|面前|的面前|身前"),

    ROW(BESIDE, WORLD_RELATION_LEFT_OF, "to its left|on its left side", "它的左边|它的左侧",
        "on its left|on the left", "它左边|左边是"),
    ROW(BESIDE, WORLD_RELATION_RIGHT_OF, "to its right|on its right side", "它的右边|它的右侧",
        "on its right|on the right", "它右边|右边是"),
    ROW(BESIDE, WORLD_RELATION_BEHIND, "behind it|some way behind it", "它的后面|它的后方",
        "in the back|behind him|behind her", "它后面|后面是|她身后"),
    ROW(BESIDE, WORLD_RELATION_IN_FRONT_OF, "in front of it|some way in front of it",
        "它的前面|它的前方", "in the front|in front of her|in front of him",
        "它前面|前面是|她面前"),

    ROW(ARTICLE, 0, "a", "一个", "an|another|one|some|any|a single|a lone|a lonely|a cute",
        "一只|一辆|一艘|一位|一名|一棵|一座|一盏|一块|一条|一架|一匹|一张|一群|一|一颗|一栋|一间|"
        "一幅|一份|另一个|另一只|另一艘|另一辆|一台|一顶"),
    ROW(ARTICLE, 1, "the", "这个|那个", "this",
        "该|这|那|这只|那只|这辆|那辆|这艘|那艘|这位|这棵|这座|这盏|这块"),
    MEASURE(0, CAR, "一辆"),
    MEASURE(0, PIRATE_SHIP, "一艘"),
    MEASURE(0, SAILBOAT, "一艘"),
    MEASURE(0, TREE, "一棵"),
    MEASURE(0, HOUSE, "一座"),
    MEASURE(0, RED_COAT_WOMAN, "一位"),
    MEASURE(0, CORGI, "一只"),
    MEASURE(0, BIRD, "一只"),
    MEASURE(0, CANVAS, "一块"),
    MEASURE(0, LANTERN, "一盏"),
    MEASURE(1, CAR, "这辆"),
    MEASURE(1, PIRATE_SHIP, "这艘"),
    MEASURE(1, SAILBOAT, "这艘"),
    MEASURE(1, TREE, "这棵"),
    MEASURE(1, HOUSE, "这座"),
    MEASURE(1, RED_COAT_WOMAN, "这位"),
    MEASURE(1, CORGI, "这只"),
    MEASURE(1, BIRD, "这只"),
    MEASURE(1, CANVAS, "这块"),
    MEASURE(1, LANTERN, "这盏"),
    ROW(TINT, 0, "clothes", NULL, "clothing|shirt|outfit|suit|uniform|sweater|hat", NULL),
    ROW(TINT, 1, "paint", "颜料", "paints|ink colour", "油漆|涂料"),
    ROW(OTHER, 1, "first", "第一个", NULL,
        "第一只|第一艘|第一辆|第一位|第一棵|第一座|第一盏|第一块"),
    ROW(OTHER, 2, "second", "第二个", "other",
        "第二只|第二艘|第二辆|第二位|第二棵|第二座|第二盏|第二块"),
    ROW(OTHER, 3, "third", "第三个", NULL,
        "第三只|第三艘|第三辆|第三位|第三棵|第三座|第三盏|第三块"),
    ROW(OTHER, 4, "fourth", "第四个", NULL, NULL),
    ROW(OTHER, 5, "fifth", "第五个", NULL, NULL),
    ROW(OTHER, 6, "sixth", "第六个", NULL, NULL),
    ROW(NUMBER, 2, "two", "两个", "2|both|a pair of|a couple of|pair of|couple of",
        "两艘|两只|两辆|两位|两|二|两棵|两座|两盏|一对|两名|两块|双"),
    ROW(NUMBER, 3, "three", "三个", "3|several|a few|many|a group of|a flock of",
        "三艘|三只|三辆|三位|三|三棵|几个|几只|几艘|许多|很多|一些"),
    ROW(NUMBER, 4, "four", "四个", "4", "四艘|四只|四辆|四|四棵"),

    ROW(PRONOUN, 0, "it|she|he", "它|她|他", "they|him|them|it's|she's|he's", "它们|他们|她们"),

    ROW(AT, 0, NULL, NULL,
        "with|near|next "
        "to|beside|by|over|above|under|beneath|below|towards|toward|around|between|past|through|"
        "across|along|into|"
        "inside|on top of|against|onto|from behind|for|alongside|among|within|close "
        "to|on|in|at|upon|off|out of|wearing|holding|like",
        "在|位于|从|与|跟|靠近|绕着|朝着|围绕|沿着|穿着|拿着|对着|向着"),

    ROW(SKIP, 0, NULL, NULL,
        "painter|artist|owner|rider|crew|next|at "
        "first|screen|half|while|wears|wear|carries|carrying|there|is|are|was|were|be|been|being|"
        "we|i|you|see|sees|seen|"
        "that|which|who|whose|and|or|as|"
        "while|then|of|to|from|its|her|his|their|"
        "video|clip|scene|shows|show|showing|shown|picture|movie|film|footage|shot|view|frame|"
        "image|camera|lens|also|too|another thing|"
        "here|this scene|in this scene|we can see|can|be seen|to be seen|the video|the clip|the "
        "scene|the view|the place|the setting|"
        "takes place|it takes place|all of this happens|all this "
        "happens|happens|happen|meanwhile|all the while|during the shot|throughout the clip|"
        "throughout|from beginning to end|the whole time|and all of it is seen|style|the style "
        "is|it looks like|looks like|looks|look|"
        "the look is that of|the whole clip is made as|made as|made|everything is shown "
        "as|everything|the picture style is|at the centre of attention|"
        "the main subject|subject|main|comes into view|is in view|in view|nearby|not far away|in "
        "the same scene|at the same time|"
        "which is pushed away|is pushed away|pushed away|pushed|away|the place is|the setting "
        "is|the scene is|we are|now|so|just|only|"
        "there's|that's|set|place of the "
        "scene|very|quite|slowly|slow|quickly|quick|fast|gently|gentle|happily|happy|quietly|"
        "calmly|calm|"
        "steadily|smoothly|softly|soft|suddenly|again|back|forth|forward|forwards|down|up|out|off "
        "of|along the way|"
        "beautiful|pretty|nice|lovely|lonely|stylish|adorable|amazing|epic|dramatic|detailed|"
        "high quality|hd|4k|8k|best quality|"
        "masterpiece|close up|closeup|close-up|wide shot|medium shot|wide|full shot|slow "
        "motion|scene of|view of|a video of|"
        "a clip of|video of|an image of|a shot of|a picture of|shot of|picture of|a scene "
        "of|please|make|create|generate|me|my|your|"
        "want|would|like to see|let|world|background|foreground|distance|in the distance|in the "
        "background|in the foreground|far away|"
        "red coat|red dress|long red "
        "dress|coat|coloured|colored|color|colour|shaped|light|lights|lit "
        "by|sized|size|during|under a|"
        "until|when|where|one after another|each other|other side|on the other "
        "side|first|finally|after that|later|before that|"
        "do|does|not|no|has|have|having|had|will|all|every|each|some of|much|more|most|lot of|lots "
        "of|full of|filled with|covered with|wet|"
        "reflecting|reflective|surface|mirror|puddles|damp|street level|ground "
        "level|old|new|young|big-hearted|warm|cold|cool|bright|vivid|"
        "colourful|colorful|deep|simple|plain|tiny bit|a bit|empty "
        "of|side|left side|right side|middle|centre|center|top|bottom",
        "画家|艺术家|主人|的|了|着|是|有|和|也|还|会|正|正在|里|中|上|下|边|面|以及|并且|并|而|又|"
        "再|同时|然后|接着|"
        "最后|地|得|被|把|将|让|使|"
        "个|只|辆|艘|位|名|棵|座|盏|块|条|张|片|群|台|这里|那里|画面|画面中|画面里|场景|视频|镜头|"
        "可以看到|看到|我们看到|能看到|我们|出现|展示|"
        "展示了|画面展示了|视频中|场景中|这个场景中|画面中央是|画面中央|中央|还有|附近|附近还有|"
        "不远处|旁边|旁边还有|一旁|另外|此外|"
        "故事发生|发生|地点是|场景是|背景是|背景|这一切发生|四周是|我们身处|置身于|时间是|这时|"
        "此时|与此同时|整个过程中|自始至终|全程|拍摄中|"
        "整体风格是|风格是|风格|看起来像|看上去像|整个画面是|一切都呈现为|画面风格是|呈现|主角是|"
        "主体是|主角|主体|它被推开|并把它推开|推到一边|"
        "请|生成|制作|一段|一个视频|一段视频|的视频|慢慢|慢慢地|缓缓|缓缓地|缓慢|快速|快速地|轻轻|"
        "轻轻地|欢快地|开心地|安静地|美丽的|漂亮的|"
        "可爱的|可爱|高清|特写|远景|近景|全景|中景|慢动作|上面|下面|里面|外面|远处|远方|前景|"
        "我|你|想要|一下|所有|非常|很|最|更|"
        "都|不|没有|就|只有|正在进行|穿|衣服的|衣服|外套|衬衫|上衣|戴|湿漉漉的|湿|反光|漫天|来|去|"
        "起|过|到|往|向|朝|时|时候|"
        "之中|之上|之下|其中|它的|她的|他的|颜色|大小|色|"
        "一边|一直|不停|不断|不停地|不断地|先|首先|随后|之后|后来|整个|整段|用|以|由|于|为|像|如|"
        "般|似的|处|间|内|外|旁"),
};

const struct lexicon_part lexicon_word_part = {rows, sizeof(rows) / sizeof(rows[0])};
