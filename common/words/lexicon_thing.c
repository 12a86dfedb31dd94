/* Nouns, adjectives and verbs. The first `say` form is written half of the time. */
#include "common/words/lexicon_thing.h"

#include "common/words/world.h"

#define NOUN(id, en, zh, en_hear, zh_hear)                        \
    {                                                             \
        LEXICON_CLASS, WORLD_CLASS_##id, LEXICON_ANY, {en, zh}, { \
            en_hear, zh_hear                                      \
        }                                                         \
    }
#define NICK(id, en, zh)                                         \
    {                                                            \
        LEXICON_NICK, WORLD_CLASS_##id, LEXICON_ANY, {en, zh}, { \
            NULL, NULL                                           \
        }                                                        \
    }
#define NOUNS(id, en, en_hear)                                       \
    {                                                                \
        LEXICON_PLURAL, WORLD_CLASS_##id, LEXICON_ANY, {en, NULL}, { \
            en_hear, NULL                                            \
        }                                                            \
    }
#define COLOUR(id, en, zh, en_hear, zh_hear)                        \
    {                                                               \
        LEXICON_COLOUR, WORLD_COLOUR_##id, LEXICON_ANY, {en, zh}, { \
            en_hear, zh_hear                                        \
        }                                                           \
    }
#define SIZE(id, en, zh, en_hear, zh_hear)                      \
    {                                                           \
        LEXICON_SIZE, WORLD_SIZE_##id, LEXICON_ANY, {en, zh}, { \
            en_hear, zh_hear                                    \
        }                                                       \
    }
#define MATERIAL(id, en, zh, en_hear, zh_hear)                          \
    {                                                                   \
        LEXICON_MATERIAL, WORLD_MATERIAL_##id, LEXICON_ANY, {en, zh}, { \
            en_hear, zh_hear                                            \
        }                                                               \
    }
#define DOES(id, cls, en, zh, en_hear, zh_hear)             \
    {                                                       \
        LEXICON_ACTION, WORLD_ACTION_##id, cls, {en, zh}, { \
            en_hear, zh_hear                                \
        }                                                   \
    }
#define DOING(id, cls, en, en_hear)                          \
    {                                                        \
        LEXICON_DOING, WORLD_ACTION_##id, cls, {en, NULL}, { \
            en_hear, NULL                                    \
        }                                                    \
    }

static const struct lexicon_row rows[] = {
    NOUN(BALL, "ball|sphere", "球|圆球|皮球",
         "orb|football|soccer ball|basketball|beach ball|marble|globe|balloon",
         "足球|篮球|气球|球体|小球|大球"),
    NOUN(CUBE, "cube|box", "方块|立方体", "block|crate|dice|die|square block",
         "箱子|盒子|正方体|小方块|大方块"),
    NOUN(CONE, "cone", "圆锥|圆锥体", "traffic cone|cone shape", "锥体|锥形|路锥"),
    NOUN(CYLINDER, "cylinder|round column", "圆柱|圆柱体", "barrel|drum|tube|pillar|column|tin can",
         "柱子|圆筒|桶"),
    NOUN(CAR, "car", "汽车|小汽车",
         "automobile|vehicle|truck|van|suv|taxi|cab|jeep|race car|racing car|sports car|sedan|bus",
         "轿车|车辆|车子|跑车|赛车|卡车|出租车|越野车|车|小车"),
    NOUN(PIRATE_SHIP, "pirate ship", "海盗船",
         "galleon|warship|pirate galleon|pirate boat|tall ship|pirates ship", "战船|大帆船"),
    NOUN(SAILBOAT, "sailboat|sailing boat", "帆船|小帆船",
         "boat|yacht|ship|sail boat|dinghy|sailing ship|vessel", "船|小船|游艇|船只|帆板"),
    NOUN(TREE, "tree", "树|树木",
         "pine|pine tree|oak|oak tree|palm|palm tree|fir|fir tree|christmas tree|birch",
         "大树|小树|松树|橡树|棕榈树|圣诞树"),
    NOUN(HOUSE, "house", "房子|房屋", "cottage|cabin|hut|home|barn|building|lodge|chalet",
         "小屋|屋子|木屋|小木屋|建筑|大楼|楼房"),
    NOUN(PERSON, "person", "人|行人",
         "man|boy|guy|human|somebody|someone|pedestrian|walker|figure|player|character|traveller|"
         "traveler|hiker|child|kid|"
         "runner|dancer|astronaut|robot|knight|sailor|pirate|steve|miner|adventurer|wanderer",
         "男人|男子|男孩|玩家|人物|旅人|孩子|小孩|路人|机器人|宇航员|矿工|角色"),
    NOUN(RED_COAT_WOMAN, "woman in a red coat|woman wearing a red coat|lady in a red coat",
         "穿红大衣的女人|身穿红色大衣的女人|穿红大衣的女子",
         "woman|girl|lady|female|stylish woman|young woman|woman in red|woman in a red dress|woman "
         "in red coat|"
         "girl in a red coat|woman with a red coat|lady in red|red coat woman|woman in a long red "
         "dress|red dressed woman|"
         "woman in the red coat|girl in red|mother|princess|red riding hood",
         "女人|女子|女孩|女士|姑娘|美女|时尚女性|女性|红衣女子|红衣女人|红衣女孩|穿红衣服的女人|"
         "穿红裙子的女人|穿红色大衣的女人|"
         "穿着红色大衣的女人|穿着红大衣的女人|穿着红色大衣的女子"),
    NOUN(CORGI, "corgi|corgi dog", "柯基犬|柯基",
         "dog|puppy|pup|doggy|doggo|hound|corgi puppy|pet|little dog|small dog|retriever|"
         "golden retriever|husky|cat|kitten|kitty|fox|wolf|animal",
         "小狗|狗|狗狗|小柯基|犬|柯基狗|柯基小狗|宠物|金毛|哈士奇|猫|小猫|动物|狐狸"),
    NOUN(BIRD, "bird", "鸟|鸟儿",
         "seagull|gull|sparrow|eagle|crow|pigeon|parrot|dove|swallow|hawk|duck|robin bird",
         "小鸟|海鸥|麻雀|老鹰|鹰|乌鸦|鸽子|鹦鹉|燕子|飞鸟"),
    NOUN(BURGER, "burger|hamburger", "汉堡|汉堡包",
         "cheeseburger|sandwich|big mac|fast food|food|meal", "芝士汉堡|三明治|食物"),
    NOUN(CANVAS, "canvas|painter's canvas", "画布|油画布",
         "painting|easel|picture frame|artwork|blank canvas", "画板|画作|一幅画|空白画布"),
    NOUN(LANTERN, "lantern|hanging lantern", "灯笼|提灯",
         "lamp|street lamp|paper lantern|torch|streetlight|street light|lamp post|candle",
         "路灯|灯|纸灯笼|红灯笼灯|台灯|蜡烛"),

    NICK(BALL, "round ball|orb", "圆形的球|球体"),
    NICK(CUBE, "block|square block", "箱子|正方体"),
    NICK(CONE, "pointed cone", "锥体"),
    NICK(CYLINDER, "column|barrel", "圆筒|柱子"),
    NICK(CAR, "vehicle|automobile", "轿车|车"),
    NICK(PIRATE_SHIP, "galleon|pirate boat", "海盗的船|战船"),
    NICK(SAILBOAT, "boat|yacht|sailing ship", "船|游艇"),
    NICK(HOUSE, "cottage|home", "屋子|建筑"),
    NICK(PERSON, "man|figure|human", "男人|人物|路人"),
    NICK(RED_COAT_WOMAN, "woman in red|stylish woman in a red coat|woman",
         "红衣女人|时尚的红衣女子|女人"),
    NICK(CORGI, "dog|cute dog|puppy", "狗|可爱的狗|小狗"),
    NICK(BURGER, "cheeseburger", "芝士汉堡"),
    NICK(CANVAS, "easel|art canvas", "画板|画架"),
    NICK(LANTERN, "lamp|paper lantern", "灯|纸灯笼"),

    NOUNS(BALL, "balls", "spheres|orbs|footballs|balloons|marbles"),
    NOUNS(CUBE, "cubes", "boxes|blocks|crates"),
    NOUNS(CONE, "cones", "traffic cones"),
    NOUNS(CYLINDER, "cylinders", "barrels|pillars|columns"),
    NOUNS(CAR, "cars", "vehicles|trucks|taxis|automobiles"),
    NOUNS(PIRATE_SHIP, "pirate ships", "galleons|warships|pirate boats"),
    NOUNS(SAILBOAT, "sailboats", "boats|sailing boats|yachts|ships|vessels"),
    NOUNS(TREE, "trees", "pine trees|pines|oaks|palms|palm trees"),
    NOUNS(HOUSE, "houses", "cottages|cabins|huts|buildings"),
    NOUNS(PERSON, "persons",
          "people|men|boys|humans|pedestrians|figures|players|children|kids|passers-by|robots"),
    NOUNS(RED_COAT_WOMAN, "women in red coats", "women|girls|ladies"),
    NOUNS(CORGI, "corgis", "dogs|puppies|pups|cats|kittens|animals"),
    NOUNS(BIRD, "birds", "seagulls|gulls|pigeons|crows|eagles|sparrows"),
    NOUNS(BURGER, "burgers", "hamburgers|cheeseburgers"),
    NOUNS(CANVAS, "canvases", "paintings"),
    NOUNS(LANTERN, "lanterns", "lamps|paper lanterns|street lamps"),

    COLOUR(RED, "red", "红色|红色的", "crimson|scarlet|ruby|cherry|maroon|reddish",
           "红|红的|大红|鲜红|鲜红色|深红色"),
    COLOUR(GREEN, "green", "绿色|绿色的", "lime|emerald|olive|greenish|dark green|light green",
           "绿|绿的|翠绿|翠绿色|深绿色"),
    COLOUR(BLUE, "blue", "蓝色|蓝色的", "navy|azure|cobalt|bluish|dark blue|sapphire",
           "蓝|蓝的|深蓝|深蓝色|湛蓝"),
    COLOUR(YELLOW, "yellow", "黄色|黄色的", "golden|gold|lemon|amber|yellowish",
           "黄|黄的|金色|金黄色|金色的"),
    COLOUR(PURPLE, "purple", "紫色|紫色的", "violet|lilac|lavender|magenta", "紫|紫的|紫罗兰色"),
    COLOUR(ORANGE, "orange", "橙色|橙色的", "tangerine|orange-coloured|brown|tan|copper",
           "橙|橘色|橘红色|橘黄色|棕色|棕色的"),
    COLOUR(WHITE, "white", "白色|白色的", "snow white|ivory|cream|silver|silvery|pale",
           "白|白的|雪白|雪白的|银色"),
    COLOUR(BLACK, "black", "黑色|黑色的", "jet black|ebony|grey|gray|dark grey|dark gray",
           "黑|黑的|漆黑|灰色|灰色的"),
    COLOUR(PINK, "pink", "粉色|粉红色的", "rose|rosy|hot pink|salmon",
           "粉|粉红|粉红色|粉色的|玫瑰色"),
    COLOUR(CYAN, "cyan", "青色|青色的", "turquoise|teal|aqua|light blue|sky blue|pale blue",
           "青|青绿色|天蓝色|浅蓝色|蓝绿色"),

    SIZE(SMALL, "small|little", "小小的|小型", "tiny|mini|miniature|short|minute|petite",
         "小|小的|小小|小巧的|迷你|微型|小号"),
    SIZE(MEDIUM, "medium-sized|mid-sized", "中等大小的|中型",
         "medium|average-sized|normal-sized|middle-sized", "中等|普通大小的"),
    SIZE(LARGE, "large|big", "大大的|大型", "huge|giant|tall|enormous|gigantic|massive|great",
         "大|大的|大大|巨大|巨大的|高大的|巨型|大号"),

    MATERIAL(MATTE, "matte|dull", "哑光|没有光泽的", "matt|rough|chalky|flat-coloured|unpolished",
             "磨砂|哑光的|粗糙的"),
    MATERIAL(GLOSSY, "glossy|shiny", "光亮的|有光泽的",
             "polished|shining|metallic|metal|chrome|gleaming|glass|reflective|plastic|smooth",
             "光滑的|闪亮的|金属|发亮的|光滑|闪亮|金属的|玻璃|反光的"),
    MATERIAL(GLOWING, "glowing|luminous", "发光的|会发光的",
             "bright glowing|lit|lit-up|illuminated|shimmering|burning|radiant|neon-lit glowing",
             "发光|亮着的|闪闪发光的|发着光的|闪闪发光|点亮的"),

    DOES(STAND, LEXICON_ANY, "stays still|stands still|does not move|rests in place",
         "静止不动|停在原地|一动不动",
         "sleeping|sleeps|sleep|asleep|lying down|sits "
         "down|stand|stands|stay|stays|rest|rests|sits|sit|waits|wait|lies|idle|idles|motionless|"
         "still|"
         "parked|stopped|stops|"
         "sits still|lies still|remains still|is parked|remains in place|stood",
         "睡觉|睡着|睡|躺着|趴着|坐下|不动|静止|停着|待着|停在那里|静静地"),
    DOES(STAND, WORLD_CLASS_PERSON, "stands still|stays in place|does not move",
         "静静地站着|站着不动|站在原地", NULL, "站着|站立|站在|伫立|站|坐着|坐在|等待"),
    DOES(STAND, WORLD_CLASS_RED_COAT_WOMAN, "stands still|stays in place|does not move",
         "静静地站着|站着不动|站在原地", NULL, NULL),
    DOES(STAND, WORLD_CLASS_PIRATE_SHIP, "floats in place|bobs on the spot|stays in place",
         "原地漂浮着|停在原处", NULL, NULL),
    DOES(STAND, WORLD_CLASS_SAILBOAT, "floats in place|bobs on the spot|stays in place",
         "原地漂浮着|停在原处", NULL, NULL),
    DOES(BOUNCE, LEXICON_ANY, "bounces up and down|bounces|keeps bouncing",
         "上下弹跳|弹跳着|不停地弹跳", "bounce|bounced|springs|bounces around|bounces high",
         "弹跳|弹起|蹦跳|蹦|弹来弹去|弹|反弹"),
    DOES(ROLL, LEXICON_ANY, "rolls @|rolls along @|keeps rolling @", "@滚动|@滚过去",
         "roll|rolled|rolls away|rolls down|tumbles", "滚|滚动着|滚来滚去|滚过|滚下|滚落|翻滚"),
    DOES(SLIDE, WORLD_CLASS_CAR, "drives @|drives along @|drives off @", "@行驶|@开去",
         "drive|drove|races|race|speeds|speeds along|speed|cruises|drives fast|drives "
         "slowly",
         "开车|行驶着|开过|驶过|飞驰|疾驰|开着|驶向|驾驶|奔驰"),
    DOES(SLIDE, LEXICON_ANY, "slides @|glides along the ground @|slides along @", "@滑动|@滑行",
         "slide|slid|slips|glides|glide|skids|skates|skis", "滑|滑动着|滑过|滑行着|滑雪|滑冰|溜冰"),
    DOES(WALK, LEXICON_ANY, "walks @|strolls @|walks along @", "@走去|@漫步|@步行",
         "walk|walked|stroll|wanders|wander|marches|hikes|steps|paces|goes for a walk|walks "
         "away|walks forward",
         "走|走路|行走|散步|走着|走过|走在|漫步在|行走在|步行在|漫步着|走来|闲逛"),
    DOES(RUN, LEXICON_ANY, "runs @|runs along @|dashes @", "@奔跑|@跑去",
         "run|ran|sprints|sprint|jogs|jog|rushes|gallops|races along|trots|chases|chase",
         "跑|跑步|跑着|奔跑着|跑过|快跑|飞奔|狂奔|奔跑在|跑来跑去|追逐|小跑"),
    DOES(JUMP, LEXICON_ANY, "jumps up and down|jumps|keeps jumping", "跳上跳下|一次次跳起|蹦起来",
         "jump|jumped|leaps|leap|hops|hop|hops up and down|skips",
         "跳|跳跃|跳起|跳起来|跳着|跃起|跳来跳去"),
    DOES(SPIN, LEXICON_ANY, "spins in place|spins around|turns round and round",
         "原地旋转|转个不停|不停旋转",
         "spin|spins|spun|rotates|rotate|twirls|twirl|whirls|revolves|dances|dance|turns "
         "around|pirouettes",
         "旋转|旋转着|转圈|转动|打转|自转|转|跳舞"),
    DOES(FLY, LEXICON_ANY, "flies @|flies through the air @|glides through the air @",
         "@飞行|@飞去",
         "fly|flew|soars|soar|flaps|hovers|floats through the air|flies away|flies over|flies past",
         "飞|飞翔|飞过|飞着|翱翔|飞行着|飞舞|盘旋"),
    DOES(SAIL, LEXICON_ANY, "sails @|sails along @|drifts along @", "@航行|@驶去",
         "sail|sailed|drifts|drift|floats|float|floats along|bobs|cruises along|rides the "
         "waves|swims",
         "航行着|行驶在海上|漂|漂流|漂浮|漂着|扬帆|起航|航行在|游泳"),
    DOES(FALL, LEXICON_ANY, "falls down from above|falls from above|drops down from above",
         "从上方落下|从空中掉下来|从高处坠落",
         "fall|falls|fell|drops|drop|falls down|drops down|falls from the "
         "sky|plunges|plummets|falls over|is dropped",
         "落下|掉下|掉下来|坠落|下落|掉落|从天而降|跌落"),
    DOES(COLLIDE, LEXICON_ANY, "crashes into|runs into|bumps into|hits", "撞上|撞到|碰上",
         "collides with|collide with|collides|collide|crash into|bump into|hit|strikes|slams "
         "into|knocks over|knocks|pushes|push|smashes into|kicks|collided with",
         "撞|碰撞|相撞|撞击|撞翻|撞开|撞向|推|推开|踢"),
    DOES(BATTLE, LEXICON_ANY, "battles against|fights a battle with|exchanges cannon fire with",
         "开炮攻打|用大炮轰击|炮击",
         "battle|battles|fights|fight|battle each other|battles with|fights with|fight each "
         "other|duels|duel|fires at|fires cannons at|shoots at|attacks|attack|at war|fires "
         "on|fight against|cannon fight|cannons",
         "战斗|激战|打斗|对战|交战|开战|打仗|海战|互相攻击|攻击|开炮|炮战|激烈战斗|大战"),
    DOES(
        BEHIND, LEXICON_ANY,
        "passes behind a wall and comes out on the other side|disappears behind a wall and comes "
        "out again|"
        "goes behind a wall and reappears on the other side|passes behind a wall",
        "从墙后面经过再从另一边出来|消失在墙后又重新出现|绕到墙后再从另一侧露出来|从墙后经过",
        "goes behind the wall|goes behind a wall|rolls behind a wall|rolls behind the wall|behind "
        "the wall|behind a wall|"
        "comes out on the other side|and comes out|comes out again|reappears|reappear|disappears "
        "behind|vanishes behind|"
        "hides behind|behind a wall and comes out|rolls behind a wall and comes "
        "out|emerges on the other side|"
        "behind the wall and comes out|rolls behind a wall and comes out on the other side|emerges",
        "墙后面|墙后|从墙后出来|滚到墙后|又出来|再出来|躲到墙后|消失在墙后|重新出现|从另一边出来"),
    DOES(LEAVE, LEXICON_ANY,
         "leaves the picture and comes back|goes out of view and returns|leaves the frame and "
         "comes back later",
         "离开画面又回来|走出视野后返回|出画后又回到画面",
         "leaves and comes back|comes back|returns|goes away and comes back|leaves the "
         "frame|leaves the picture|goes out of view|"
         "out of frame|exits the frame|leaves and returns",
         "离开又回来|回来|返回|离开画面|出画|又回来了"),
    DOES(EATEN, LEXICON_ANY,
         "is eaten bite by bite|gets eaten bite by bite|loses one bite after another",
         "被一口一口地吃掉|一口接一口地被吃掉",
         "is eaten|gets eaten|is being eaten|eat|eats|bite|bites|eaten|bite marks|is bitten|is "
         "bitten into|bite by bite|takes a bite of|takes a bite out of",
         "吃|被吃掉|吃掉|咬|咬一口|被吃|一口一口"),
    DOES(PAINTED, LEXICON_ANY,
         "is painted stroke by stroke|fills with paint stroke by stroke|gains one brush stroke "
         "after another",
         "被一笔一笔地画满|一笔接一笔地被画上颜色",
         "is painted|gets painted|is being painted|paint|paints|painted|stroke by "
         "stroke|draws|draw|is drawn|brush strokes|brush",
         "画|作画|绘画|画画|被画|一笔一笔|涂|绘制"),

    DOES(
        THROW, LEXICON_ANY,
        "is thrown in a high arc @|flies in a high arc @|is tossed through the air @",
        "@被高高抛出|@划过一道弧线|@被抛向空中",
        "throw|throws|threw|thrown|is thrown|toss|tosses|tossed|is tossed|launched|lobbed|flies in "
        "an arc|is hurled|catapulted|thrown through the air|projectile",
        "抛|扔|投掷|抛出|扔出|投出|抛起|扔向|抛物线|被扔出去"),

    DOING(STAND, LEXICON_ANY, "staying still|standing still|resting in place",
          "standing|resting|sitting|waiting|lying|sitting still|parking|posing"),
    DOING(STAND, WORLD_CLASS_PIRATE_SHIP, "floating in place", NULL),
    DOING(STAND, WORLD_CLASS_SAILBOAT, "floating in place", NULL),
    DOING(BOUNCE, LEXICON_ANY, "bouncing up and down|bouncing", "springing|bouncing around"),
    DOING(ROLL, LEXICON_ANY, "rolling @|rolling along @", "tumbling|rolling down|rolling away"),
    DOING(SLIDE, WORLD_CLASS_CAR, "driving @|driving along @",
          "racing|speeding|cruising|driving fast"),
    DOING(SLIDE, LEXICON_ANY, "sliding @|sliding along @",
          "gliding|skidding|slipping|skating|skiing"),
    DOING(WALK, LEXICON_ANY, "walking @|strolling @",
          "wandering|marching|hiking|pacing|taking a walk"),
    DOING(RUN, LEXICON_ANY, "running @|dashing @",
          "sprinting|jogging|rushing|galloping|trotting|chasing"),
    DOING(JUMP, LEXICON_ANY, "jumping up and down|jumping", "leaping|hopping|skipping"),
    DOING(SPIN, LEXICON_ANY, "spinning in place|spinning around",
          "spinning|rotating|twirling|whirling|dancing|turning around"),
    DOING(FLY, LEXICON_ANY, "flying @|flying through the air @",
          "soaring|flapping|hovering|gliding through the air|flying over"),
    DOING(SAIL, LEXICON_ANY, "sailing @|sailing along @",
          "drifting|floating|bobbing|swimming|riding the waves"),
    DOING(FALL, LEXICON_ANY, "falling down from above|dropping from above",
          "falling|dropping|falling down|plunging|tumbling down"),
    DOING(COLLIDE, LEXICON_ANY, "crashing into|bumping into",
          "colliding with|colliding|hitting|running into|pushing|kicking|slamming into|knocking "
          "over"),
    DOING(BATTLE, LEXICON_ANY, "battling against|fighting a battle with",
          "battling|fighting|battling each other|fighting each other|duelling|dueling|firing "
          "at|attacking|shooting at"),
    DOING(
        BEHIND, LEXICON_ANY, "passing behind a wall and coming out again|passing behind a wall",
        "going behind a wall|going behind the wall|rolling behind a wall|"
        "rolling behind the wall|coming out on the other side|hiding behind|reappearing|emerging"),
    DOING(LEAVE, LEXICON_ANY, "leaving the picture and coming back",
          "leaving the frame|leaving and coming back|coming back|returning"),
    DOING(EATEN, LEXICON_ANY, "being eaten bite by bite", "being eaten|eating|being bitten|biting"),
    DOING(PAINTED, LEXICON_ANY, "being painted stroke by stroke",
          "being painted|painting|being drawn|drawing"),

    DOING(THROW, LEXICON_ANY, "being thrown in a high arc @|flying in a high arc @",
          "throwing|tossing|being thrown|being tossed"),

    {LEXICON_ACTION,
     LEXICON_MOVE,
     LEXICON_ANY,
     {"moves @", "@移动"},
     {"move|moving|moved|goes|going|go|travels|travelling|traveling|passes|passing|crosses|"
      "crossing|heads|heading|comes|coming",
      "移动着|前进|经过|穿过|前行|行进|移动|穿行"}},
    {LEXICON_DOING, LEXICON_MOVE, LEXICON_ANY, {"moving @", NULL}, {NULL, NULL}},
};

const struct lexicon_part lexicon_thing_part = {rows, sizeof(rows) / sizeof(rows[0])};
